"""The parent of the workers: starts them, visits them in rounds, and ends them; without torch."""
