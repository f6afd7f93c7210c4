"""The doctor: checks whether this machine can measure, and what would distort the figures."""
