"""Faults that Kubernetes itself can do: pods deleted, workloads gone or wrong, nodes closed."""
