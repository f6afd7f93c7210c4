"""Hosts: ways to get machines, on which the sets of a run are measured; one file each."""
