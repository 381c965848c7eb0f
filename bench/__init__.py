"""Measurements of promises that are figures; each prints its machine, versions and command."""
