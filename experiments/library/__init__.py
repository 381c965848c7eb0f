"""Starter experiments: one file each, read by ``services/library.py``; no code.

A file is two YAML documents. The first says what a person wants to know before choosing (``level``,
``summary``, ``learn``, ``needs``); the second, after ``---``, is the experiment with its comments,
as the author who starts from it gets it.
"""
