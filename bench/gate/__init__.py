"""The gate: whether a change made anything slower, or larger, and how sure that is."""
