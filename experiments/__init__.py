"""The Django application: author, run and review chaos experiments."""
