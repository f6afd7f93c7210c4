"""The devices and tasks that executors and rewrites may support."""

EVERY_DEVICE = frozenset({"cpu", "cuda"})
CPU = frozenset({"cpu"})
CUDA = frozenset({"cuda"})
EVERY_TASK = frozenset({"infer", "train"})
INFERENCE = frozenset({"infer"})
