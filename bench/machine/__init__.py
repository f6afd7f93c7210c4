"""What it is measured on: the environment, the GPU and its card, load, memory; without torch."""
