"""The gate: checks whether a change made anything slower or larger, and with what certainty."""
