"""Whether the figures of a run can be trusted."""
