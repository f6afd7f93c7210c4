"""Exact counts of a network, compared with a committed baseline: the static gate."""
