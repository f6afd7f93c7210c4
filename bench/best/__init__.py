"""The fastest way to run a network: candidates, how they are narrowed down, and the decision."""
