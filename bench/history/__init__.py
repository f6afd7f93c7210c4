"""The history: what is kept of many runs, in a database."""
