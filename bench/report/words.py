"""The words of a report that a reader may not know, as docs/words.md explains them."""

from collections.abc import Mapping
from types import MappingProxyType

WORDS: Mapping[str, str] = MappingProxyType(
    {
        "arch": (
            "a network by name: googlenet, torchvision:resnet18, my_module:my_net, googlenet@192"
        ),
        "mode": (
            "how it is run: an executor (eager, compile, …), after rewrites such as "
            "channels_last, joined by +"
        ),
        "cell": (
            "what gets one row of a table: an arch in a mode, with a dtype, a batch size, a "
            "task and a device, as in googlenet/compile/fp32/b1/infer/cpu"
        ),
        "group": (
            "the cells that are compared with each other: same batch size, task and device, and "
            "the same dtype unless best compares dtypes"
        ),
        "reference": (
            "the cell that a group's ratios are relative to: torchvision's GoogLeNet in "
            "eager, or the group's first cell"
        ),
        "control": (
            "a second copy of the reference in a process of its own. Its ratio should be 1"
        ),
        "worker": "a process that holds one cell",
        "visit": "a worker's turn: one iteration, or a few",
        "round": ("one visit to every worker, in random order. A ratio is taken within a round"),
        "voided": (
            "a round does not count, because other processes or heat disturbed the machine, "
            "whatever its timing"
        ),
        "set": "all rounds of one generation of fresh workers. Intervals are over sets",
        "wave": (
            "the part of a group whose workers are alive together; there are several only if "
            "memory does not hold all"
        ),
    }
)
