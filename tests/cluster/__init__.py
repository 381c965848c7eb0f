"""Tests on a real Kubernetes: `make test-cluster` builds its servers and runs them."""
