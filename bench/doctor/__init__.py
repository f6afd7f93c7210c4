"""The doctor: whether this machine can measure, and what of it would spoil the figures."""
