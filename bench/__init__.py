"""Measures networks, compares them and reports the results."""

__version__ = "0.1.0"
