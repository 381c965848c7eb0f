"""Faults in Envoy's HTTP traffic, switched through its admin interface.

A fault is an override in the runtime's admin layer plus a sentinel beside it, written in one POST
(one snapshot). In come plans of ``drivers.protocol``; out go ``/runtime_modify`` requests to every
Envoy of the connection. Only ``drivers.registry`` opens this package.
"""
