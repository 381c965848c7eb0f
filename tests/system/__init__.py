"""Whole runs on real processes: web server, workers, beat, queue, database, Envoy, Prometheus."""
