"""Figures as plain dictionaries, for plotly in the browser."""
