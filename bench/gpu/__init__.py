"""Everything that takes a GPU, in one go, for a machine that is at hand for minutes."""
