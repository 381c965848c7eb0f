"""The experiment document, its rules, the states of a run: pure, typed, without any framework.

In comes what a person wrote; out come frozen models and every error at once, each with its path.
Anyone may call it.
"""
