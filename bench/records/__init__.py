"""What is kept: what happens in a run, its outcome, and the files that outlive it."""
