"""Files of Chaos Mesh as people have them."""

DELAY = """
apiVersion: chaos-mesh.org/v1alpha1
kind: NetworkChaos
metadata:
  name: slow.carts
  namespace: chaos
  labels: {team: shop}
spec:
  action: delay
  mode: fixed
  value: "2"
  selector:
    namespaces: [shop]
    labelSelectors: {app: carts}
  delay: {latency: 90ms}
  duration: 1m30s
"""

KILL = """
apiVersion: chaos-mesh.org/v1alpha1
kind: PodChaos
metadata: {name: kill-one}
spec:
  action: pod-kill
  mode: one
  selector: {labelSelectors: {app: web}}
"""

SCHEDULE = """
apiVersion: chaos-mesh.org/v1alpha1
kind: Schedule
metadata: {name: nightly, namespace: shop}
spec:
  schedule: "0 3 * * *"
  type: PodChaos
  historyLimit: 2
  concurrencyPolicy: Forbid
  podChaos:
    action: pod-failure
    mode: one
    selector: {labelSelectors: {app: web}}
    duration: 30s
"""

WORKFLOW = """
apiVersion: chaos-mesh.org/v1alpha1
kind: Workflow
metadata: {name: storm, namespace: shop}
spec:
  entry: all
  templates:
    - name: all
      templateType: Serial
      deadline: 240s
      children: [first, breath, both, after, never]
    - name: first
      templateType: PodChaos
      deadline: 40s
      podChaos: {action: pod-kill, mode: one, selector: {labelSelectors: {app: web}}}
    - name: breath
      templateType: Suspend
      deadline: 20s
    - name: both
      templateType: Parallel
      deadline: 60s
      children: [slow, busy, probe]
    - name: slow
      templateType: NetworkChaos
      deadline: 90s
      networkChaos:
        action: delay
        mode: all
        selector: {labelSelectors: {app: carts}}
        delay: {latency: 90ms}
    - name: busy
      templateType: StressChaos
      deadline: 30s
      stressChaos:
        mode: one
        selector: {labelSelectors: {app: web}}
        stressors: {cpu: {workers: 1}}
    - name: probe
      templateType: StatusCheck
      abortWithStatusCheck: true
      statusCheck:
        type: HTTP
        mode: Continuous
        intervalSeconds: 5
        timeoutSeconds: 2
        failureThreshold: 2
        http:
          url: http://front/health
          headers: {x-a: [b, c]}
          criteria: {statusCode: "200-202"}
    - name: after
      templateType: TimeChaos
      deadline: 10m
      timeChaos: {mode: one, selector: {labelSelectors: {app: web}}, timeOffset: -10m}
    - name: never
      templateType: Suspend
      deadline: 1m
    - name: look
      templateType: Task
      conditionalBranches: [{target: never, expression: "exitCode == 0"}]
    - name: unreached
      templateType: Suspend
      deadline: 1m
"""

OTHERS = """
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: chaos-mesh.org/v1alpha1
kind: PhysicalMachine
metadata: {name: db-1}
spec: {address: "https://10.0.0.5:31768"}
"""
