"""Measuring on the nodes of a cluster: what all hosts other than the local one share."""
