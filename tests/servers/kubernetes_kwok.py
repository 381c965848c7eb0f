"""What kwok does with nodes and pods (its Stage documents), and what a node is."""

from __future__ import annotations

import json
from typing import Any

# A container of this image runs, but serves nothing: as Chaos Mesh's pod-failure leaves it.
PAUSE_IMAGE = "pause:3"

_CONDITIONS = """
{{ $now := Now }}
conditions:
{{ range NodeConditions }}
- {type: {{ .type | Quote }}, status: {{ .status | Quote }}, reason: {{ .reason | Quote }},
   message: {{ .message | Quote }},
   lastHeartbeatTime: {{ $now | Quote }}, lastTransitionTime: {{ $now | Quote }}}
{{ end }}
addresses:
- {type: InternalIP, address: {{ NodeIP | Quote }}}
- {type: Hostname, address: {{ NodeName | Quote }}}
capacity: {cpu: "32", memory: 128Gi, pods: "500"}
allocatable: {cpu: "32", memory: 128Gi, pods: "500"}
phase: Running
"""


def _containers(ready: bool) -> str:
    said, restarts = ("true", 0) if ready else ("false", 1)
    return f"""
{{{{ $uid := .metadata.uid }}}}
containerStatuses:
{{{{ range .spec.containers }}}}
- name: {{{{ .name | Quote }}}}
  image: {{{{ .image | Quote }}}}
  imageID: {{{{ .image | Quote }}}}
  containerID: "containerd://{{{{ $uid }}}}-{{{{ .name }}}}"
  ready: {said}
  started: true
  restartCount: {restarts}
  state: {{running: {{startedAt: {{{{ Now | Quote }}}}}}}}
{{{{ end }}}}
"""


def _ready(status: str) -> str:
    return f"""
conditions:
- {{type: Initialized, status: "True", lastTransitionTime: {{{{ Now | Quote }}}}}}
- {{type: Ready, status: "{status}", lastTransitionTime: {{{{ Now | Quote }}}}}}
- {{type: ContainersReady, status: "{status}", lastTransitionTime: {{{{ Now | Quote }}}}}}
"""


_RUNNING = """
{{ $ips := PodIPsWith .spec.nodeName (or .spec.hostNetwork false)
   (or .metadata.uid "") (or .metadata.name "") (or .metadata.namespace "") }}
{{ with $ips }}
podIP: {{ index . 0 | Quote }}
podIPs:
{{ range . }}
- ip: {{ . | Quote }}
{{ end }}
{{ end }}
phase: Running
startTime: {{ Now | Quote }}
"""

_DELETED = ".metadata.deletionTimestamp"
_PHASE = ".status.phase"
_IS_READY = '.status.conditions.[] | select( .type == "Ready" ) | .status'
_IMAGES = ".spec.containers.[].image"


def _stage(name: str, kind: str, when: list[dict[str, Any]], then: dict[str, Any]) -> str:
    return json.dumps(
        {
            "apiVersion": "kwok.x-k8s.io/v1alpha1",
            "kind": "Stage",
            "metadata": {"name": name},
            "spec": {
                "resourceRef": {"apiGroup": "v1", "kind": kind},
                "selector": {"matchExpressions": when},
                "next": then,
            },
        }
    )


def _absent(key: str) -> dict[str, Any]:
    return {"key": key, "operator": "DoesNotExist"}


def _in(key: str, *values: str) -> dict[str, Any]:
    return {"key": key, "operator": "In", "values": list(values)}


def _not_in(key: str, *values: str) -> dict[str, Any]:
    return {"key": key, "operator": "NotIn", "values": list(values)}


STAGES = "\n---\n".join(
    (
        _stage("node-ready", "Node", [_not_in(_IS_READY, "True")], {"statusTemplate": _CONDITIONS}),
        _stage(
            "pod-runs",
            "Pod",
            [_absent(_DELETED), _in(_PHASE, "Pending")],
            {"statusTemplate": _ready("True") + _containers(True) + _RUNNING},
        ),
        _stage(
            "pod-fails",
            "Pod",
            [_absent(_DELETED), _in(_IS_READY, "True"), _in(_IMAGES, PAUSE_IMAGE)],
            {"statusTemplate": _ready("False") + _containers(False)},
        ),
        _stage(
            "pod-is-back",
            "Pod",
            [
                _absent(_DELETED),
                _in(_PHASE, "Running"),
                _in(_IS_READY, "False"),
                _not_in(_IMAGES, PAUSE_IMAGE),
            ],
            {"statusTemplate": _ready("True") + _containers(True)},
        ),
        _stage("pod-ends", "Pod", [{"key": _DELETED, "operator": "Exists"}], {"delete": True}),
    )
)


def node(name: str) -> dict[str, Any]:
    """Return a node for kwok to keep."""
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name, "type": "kwok"}},
    }
