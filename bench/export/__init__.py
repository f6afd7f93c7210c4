"""Export: a network in a mode as a file that runs without this package."""
