"""ChaosWeb's commands: thin, over the services."""
