"""The same through JSON: thin views over the services."""
