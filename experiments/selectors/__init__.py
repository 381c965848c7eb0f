"""Reads for pages: what to show, in few queries. Selectors never write."""
