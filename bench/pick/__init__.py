"""The choice of a network: candidates, limits, and what drops a candidate. Starts no worker."""
