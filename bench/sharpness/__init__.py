"""The study behind how workers are visited: what disturbs a ratio, and what sharpens it."""
