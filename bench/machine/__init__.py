"""The machine: environment, CPU, GPU cards, load and memory. Needs no torch."""
