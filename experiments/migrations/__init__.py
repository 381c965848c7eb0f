"""Migrations, hand-named."""
