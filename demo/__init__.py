"""Run a small shop behind real Envoys, measured by a real Prometheus, on this machine alone.

What enters: a `DemoConfig` and a work directory. What leaves: addresses to experiment on.
Plain Python: it knows neither Django nor the drivers. `manage.py demo` and the tests call it.
"""
