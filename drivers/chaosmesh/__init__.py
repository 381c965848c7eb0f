"""Faults that Chaos Mesh injects into Kubernetes, clouds and physical machines.

``wire`` and ``values`` say how a value stands in a Chaos Mesh object, ``common`` whom a fault hits;
each kind has a module of models, and ``faults`` lists all of them. ``payload`` turns a model into a
manifest and back. All of this is pure. Only ``drivers.registry`` opens this package.

What Chaos Mesh's webhooks check, and what nothing checks, is checked by the models: a cluster
without webhooks is sent the same documents. docs/chaosmesh.md lists which rule is where.
"""
