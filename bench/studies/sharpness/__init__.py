"""Study of how to visit workers: what makes the ratio of two networks more or less precise."""
