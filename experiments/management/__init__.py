"""ChaosWeb's commands."""
