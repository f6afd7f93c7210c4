"""Comparison of runs that were not measured together."""
