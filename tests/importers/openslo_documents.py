"""OpenSLO as teams write it: one file for a shop, and one that has everything wrong."""

from __future__ import annotations

SHOP = """\
apiVersion: openslo/v1
kind: Service
metadata:
  name: orders
  displayName: Orders
  labels: {team: [orders]}
spec:
  description: Takes orders and charges for them.
---
apiVersion: openslo/v1
kind: SLI
metadata: {name: orders-availability, displayName: Orders answers}
spec:
  ratioMetric:
    counter: true
    good:
      metricSource:
        type: Prometheus
        spec: {query: 'sum(rate(http_requests_total{job="orders",code!~"5.."}[5m]))'}
    total:
      metricSource:
        type: Prometheus
        spec: {query: 'sum(rate(http_requests_total{job="orders"}[5m]))'}
---
apiVersion: openslo/v1
kind: SLO
metadata: {name: orders-availability-slo}
spec:
  service: orders
  indicatorRef: orders-availability
  timeWindow: [{duration: 28d, isRolling: true}]
  budgetingMethod: Occurrences
  objectives: [{displayName: good, target: 0.995}]
---
apiVersion: openslo/v1
kind: SLO
metadata: {name: orders-latency, displayName: Orders is fast}
spec:
  service: orders
  indicator:
    metadata: {name: Orders.P95}
    spec:
      thresholdMetric:
        metricSource:
          query: >-
            histogram_quantile(0.95, sum by (le) (rate(request_seconds_bucket{job="orders"}[5m])))
  objectives: [{op: lte, value: 0.5, target: 0.99}, {op: lte, value: 1, target: 0.999}]
---
apiVersion: openslo/v1
kind: SLO
metadata: {name: carts-errors}
spec:
  service: carts
  indicator:
    spec:
      ratioMetric:
        bad: {metricSource: {type: prometheus, spec: {query: carts_failed_total}}}
        total: {metricSource: {type: prometheus, spec: {query: carts_requests_total}}}
  objectives: [{targetPercent: 98}]
---
apiVersion: openslo/v1
kind: SLO
metadata: {name: carts-fresh}
spec:
  service: carts
  indicator:
    metadata: {name: fresh}
    spec:
      ratioMetric:
        rawType: success
        raw: {metricSource: {type: Prometheus, spec: {query: 'avg(carts_fresh_ratio)'}}}
  objectives: [{target: 0.9}]
---
apiVersion: openslo/v1
kind: SLO
metadata: {name: carts-queue}
spec:
  service: carts
  indicator:
    metadata: {name: queue}
    spec: {thresholdMetric: {metricSource: {type: Prometheus, spec: {query: sum(queue_length)}}}}
  objectives: [{op: gte, value: 3}]
---
apiVersion: openslo/v1
kind: AlertPolicy
metadata: {name: page}
spec: {}
"""

BROKEN = """\
apiVersion: openslo/v2alpha
kind: Service
metadata: {name: new}
---
apiVersion: openslo/v1
kind: SLO
metadata: {name: nobodys}
spec: {objectives: [{target: 0.9}]}
---
apiVersion: openslo/v1
kind: SLO
metadata: {name: elsewhere}
spec:
  service: carts
  indicator:
    metadata: {name: datadog}
    spec: {thresholdMetric: {metricSource: {type: Datadog, spec: {query: avg:x}}}}
---
apiVersion: openslo/v1
kind: SLO
metadata: {name: hanging}
spec: {service: carts, indicatorRef: nowhere}
---
apiVersion: openslo/v1
kind: SLI
metadata: {name: alone}
spec: {thresholdMetric: {metricSource: {query: up}}}
---
apiVersion: v1
kind: Pod
"""
