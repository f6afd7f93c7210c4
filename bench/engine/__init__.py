"""The coordinator of a run, the hosts that measure for it, and the parts of the local one."""
