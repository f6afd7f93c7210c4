"""The vocabulary: what the stages of GoogLeNet are called, in our code and in torchvision's.

Names are those of the paper's Table 1, so that its rows stand beside what is measured; the stem and
the head hold several of them. Imports no torch.
"""

from collections.abc import Container, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeAlias

from googlenet.table1 import MEGA, PAPER_ROWS

Key: TypeAlias = tuple[str, str]
"""A stage and one of its branches; of the stage itself the branch is empty."""

# Rows beside the stages: a forward, and what of it is in no stage. No module is called so.
WHOLE, GAP = "(whole)", "(gap)"


@dataclass(frozen=True, slots=True, kw_only=True)
class StagePart:
    """A stage, or a branch of one: modules that run one after the other."""

    stage: str
    branch: str = ""
    modules: tuple[str, ...]
    """Dotted names, in the order of calls; functions called between them are in the part too."""

    @property
    def key(self) -> Key:
        return self.stage, self.branch


_ROWS = {row.name: row.stages for row in PAPER_ROWS}
_INCEPTION_NAMES = tuple(name for name in _ROWS if name[0].isdigit())

# The parts of each stage, one after the other, and the direct children that make them up: ours, or
# torchvision's; those that a network lacks are passed over.
GOOGLENET: Mapping[str, Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "stem": {
            "conv1": _ROWS["conv1"],
            "pool1": ("pool1", "maxpool1"),
            "lrn1": ("lrn1",),
            "conv2": _ROWS["conv2"],
            "lrn2": ("lrn2",),
            "pool2": ("pool2", "maxpool2"),
        },
        **{name: {"": _ROWS[name]} for name in _INCEPTION_NAMES if name[0] == "3"},
        "pool3": {"": ("pool3", "maxpool3")},
        **{name: {"": _ROWS[name]} for name in _INCEPTION_NAMES if name[0] == "4"},
        "pool4": {"": ("pool4", "maxpool4")},
        **{name: {"": _ROWS[name]} for name in _INCEPTION_NAMES if name[0] == "5"},
        "head": {
            "avgpool": ("avgpool",),
            "dropout": ("dropout",),
            "linear": _ROWS["linear"],
        },
    }
)
# What the paper has in each branch of an Inception block, by our name for it and torchvision's.
BRANCHES: Mapping[str, str] = MappingProxyType(
    {
        "branch1x1": "1×1",
        "branch3x3": "3×3",
        "branch5x5": "5×5",
        "branch_pool": "pool",
        "branch1": "1×1",
        "branch2": "3×3",
        "branch3": "5×5",
        "branch4": "pool",
    }
)


def is_googlenet(children: Container[str]) -> bool:
    """Whether direct children of these names make up every row of Table 1."""
    return all(any(name in children for name in names) for names in _ROWS.values())


def paper_macs(keys: Container[Key]) -> Mapping[Key, int]:
    """Table 1's operations for an image, by stage and branch; none where it lacks a row's.

    Those of a stage are the sum of its rows', and of the whole of all.
    """
    printed = {row.name: round(float(row.ops.removesuffix("M")) * MEGA) for row in PAPER_ROWS}
    found: dict[Key, int] = {}
    for stage, parts in GOOGLENET.items():
        rows = {
            branch: printed[branch or stage] for branch in parts if (branch or stage) in printed
        }
        if rows:
            found |= {(stage, branch): macs for branch, macs in rows.items()}
            found[stage, ""] = sum(rows.values())
    if not all(key in keys for key in found):
        return {}
    return {**found, (WHOLE, ""): sum(printed.values())}
