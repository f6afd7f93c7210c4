"""Inside a worker: a network made ready, checked, timed and counted, as it is asked to."""
