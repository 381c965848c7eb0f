"""The cellar: how ChaosWeb reaches backends. Plain Python that knows nothing of Django.

Only ``drivers.units`` and ``drivers.protocol`` may be imported from anywhere; the rest enters
the application through ``experiments.backends``.
"""
