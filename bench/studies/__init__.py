"""Studies of the suite itself: the gate's error rates, bias, cost, GPUs. Not in the wheel."""
