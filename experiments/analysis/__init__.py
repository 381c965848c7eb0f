"""The judge: what was measured goes in as frozen evidence, a verdict with its reasons comes out.

Pure numpy and scipy: no framework, no clock, no network. Services call ``verdict.judge`` for a run
that has ended and ``live.so_far`` for one that has not; pages read the stored judgement.
"""
