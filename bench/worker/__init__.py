"""The worker process: prepares, checks, times and counts the network of one cell."""
