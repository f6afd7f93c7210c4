"""Vocabulary: the names of GoogLeNet's stages, and their modules in our code and torchvision's.

The names are those of the paper's Table 1, so that its rows can be shown beside the measurements.
The stem and the head contain several of these rows. Imports no torch.
"""

from collections.abc import Container, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeAlias

from googlenet.table1 import MEGA, PAPER_ROWS

Key: TypeAlias = tuple[str, str]
"""A stage and one of its branches; the branch is empty for the stage itself."""

# Further rows: a whole forward pass, and its part outside all stages. No module has such a name.
WHOLE, GAP = "(whole)", "(gap)"


@dataclass(frozen=True, slots=True, kw_only=True)
class StagePart:
    """A stage or a branch of a stage: modules that run one after the other."""

    stage: str
    branch: str = ""
    modules: tuple[str, ...]
    """Dotted names, in call order; functions called between them belong to the part too."""

    @property
    def key(self) -> Key:
        return self.stage, self.branch


_ROWS = {row.name: row.stages for row in PAPER_ROWS}
INCEPTION_BLOCKS = tuple(name for name in _ROWS if name[0].isdigit())

# The parts of each stage, in order, and the direct children that they consist of, in our code or in
# torchvision's. Children that a network lacks are skipped.
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
        **{name: {"": _ROWS[name]} for name in INCEPTION_BLOCKS if name[0] == "3"},
        "pool3": {"": ("pool3", "maxpool3")},
        **{name: {"": _ROWS[name]} for name in INCEPTION_BLOCKS if name[0] == "4"},
        "pool4": {"": ("pool4", "maxpool4")},
        **{name: {"": _ROWS[name]} for name in INCEPTION_BLOCKS if name[0] == "5"},
        "head": {
            "avgpool": ("avgpool",),
            "dropout": ("dropout",),
            "linear": _ROWS["linear"],
        },
    }
)
# The paper's name of each branch of an Inception block, by our name for it and by torchvision's.
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
    """Return whether direct children with these names cover every row of Table 1."""
    return all(any(name in children for name in names) for names in _ROWS.values())


def paper_macs(keys: Container[Key]) -> Mapping[Key, int]:
    """Return Table 1's operations for one image, by stage and branch.

    The value of a stage is the sum of its rows; the value of the whole is the sum of all rows.
    Returns an empty mapping if ``keys`` lacks a stage or branch that Table 1 has.
    """
    printed = {row.name: round(float(row.ops.removesuffix("M")) * MEGA) for row in PAPER_ROWS}
    macs_by_key: dict[Key, int] = {}
    for stage, parts in GOOGLENET.items():
        rows = {
            branch: printed[branch or stage] for branch in parts if (branch or stage) in printed
        }
        if rows:
            macs_by_key |= {(stage, branch): macs for branch, macs in rows.items()}
            macs_by_key[stage, ""] = sum(rows.values())
    if not all(key in keys for key in macs_by_key):
        return {}
    return {**macs_by_key, (WHOLE, ""): sum(printed.values())}
