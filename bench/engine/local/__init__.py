"""The parts of the local host: the workers of a set on this machine, wave by wave."""
