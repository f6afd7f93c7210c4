"""The pytest front: each cell is a test item, and one session measures them all together."""
