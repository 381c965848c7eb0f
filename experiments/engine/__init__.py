"""What is due in a run: pure functions of a frozen snapshot and a moment.

In comes what the database holds and ``now``; out come steps that ``services.conducting`` carries
out. Nothing here reads a clock, a database or a network.
"""
