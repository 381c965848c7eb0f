"""One cluster's API server, as the drivers of Kubernetes and of Chaos Mesh share it."""
