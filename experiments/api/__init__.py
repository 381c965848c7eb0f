"""The API under /api/v1: JSON or YAML comes in, one service is called, JSON leaves.

Views read and answer; the services decide. Only ``experiments.urls`` may import this package.
"""
