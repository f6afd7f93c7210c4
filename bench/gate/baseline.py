"""The baseline: a committed file of counts, and what differs from it. Plain data, without torch.

Any difference fails the gate, one for the better too: a baseline that is not what the code is would
let the next change be as much worse, and nobody would be told. It asks for a new baseline, whose
diff a reviewer sees. Schema versions:

1. The first.
"""

import json
import shlex
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType
from typing import Any

import msgspec

from bench.atomic import write_text
from bench.names import RequestError

FORMAT = "googlenet-bench baseline"
SCHEMA_VERSION = 1
PATH = Path("reports/baseline.json")

# Of peak bytes. Rounding every tensor up to 512 bytes, as CUDA's allocator does, adds 0.2 % to
# GoogLeNet's; versions of PyTorch may differ in what an operator puts out beside its result.
PEAK_TOLERANCE = 0.01
LIBRARIES = ("torch", "torchvision", "fvcore")
_DYNAMO = ("torch", "python")


class Change(StrEnum):
    """Which way a count went."""

    WORSE = "worse"
    BETTER = "better"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """How a count is compared."""

    what: str
    less_is_better: bool = True
    tolerance: float = 0.0
    """A share of the baseline's; a count no further from it than that is the same."""
    follows: tuple[str, ...] = ()
    """What may change it by itself, in another version."""

    def is_same(self, then: int, now: int) -> bool:
        """Whether a count is what the baseline has."""
        return abs(now - then) <= self.tolerance * abs(then)

    def change(self, then: int, now: int) -> Change:
        """Which way a count went that is not the same."""
        if not self.less_is_better:
            return Change.CHANGED
        return Change.WORSE if now > then else Change.BETTER


RULES: Mapping[str, Rule] = MappingProxyType(
    {
        "params": Rule(what="parameters without auxiliary heads"),
        "params_with_aux": Rule(what="parameters with them"),
        "macs_per_image": Rule(what="of convolutions, linear layers and other matrix products"),
        "flops_per_image": Rule(what="2 × MACs"),
        "fvcore_total_per_image": Rule(
            what="MACs, and batch norm and average pooling besides", follows=("fvcore",)
        ),
        "weights_bytes": Rule(what="parameters and buffers, in the cell's dtype"),
        "peak_bytes": Rule(
            what="most of weights, images and activations that are alive together, in eager",
            tolerance=PEAK_TOLERANCE,
            follows=("torch",),
        ),
        "graphs": Rule(
            what="that Dynamo captures; none in eager",
            less_is_better=False,  # more are breaks, and none is a network that is not compiled
            follows=_DYNAMO,
        ),
        "graph_breaks": Rule(what="between them", follows=_DYNAMO),
        "recompiled_graphs": Rule(what="in a second iteration", follows=_DYNAMO),
    }
)
Counts = Mapping[str, int]
"""What is counted of a cell, by the names of ``RULES``: bench/gate/counts.py has how."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """Counts of cells by their ids, and what they were counted with."""

    image_size: int
    """Height and width, in pixels."""
    versions: Mapping[str, str]
    """Of Python and of ``LIBRARIES``, without what a build adds: 2.11.0 for 2.11.0+cpu."""
    cells: Mapping[str, Counts]


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A count that is not what the baseline has."""

    cell: str
    field: str
    baseline: int
    now: int
    change: Change
    versions: str = ""
    """What may have changed it by itself, in which version there and here."""

    @property
    def sentence(self) -> str:
        """The cell, the field and both values."""
        by_itself = f"; {self.versions}" if self.versions else ""
        return (
            f"{self.cell}: {self.field} is {self.now:,} where the baseline has {self.baseline:,} "
            f"({self.change}{by_itself})"
        )


def versions_here() -> dict[str, str]:
    """The versions that counts are made with here; raises ``ModuleNotFoundError`` without one."""
    libraries = {name: version(name).partition("+")[0] for name in LIBRARIES}
    return {"python": f"{sys.version_info.major}.{sys.version_info.minor}", **libraries}


def write(baseline: Baseline, path: Path) -> None:
    """Write a baseline, whole or not at all: sorted, a count a line, for a reviewer to read."""
    content = {"format": FORMAT, "schema_version": SCHEMA_VERSION, **asdict(baseline)}
    write_text(path, json.dumps(content, indent=2, sort_keys=True) + "\n")


def read(path: Path) -> Baseline:
    """Read a baseline; raises ``RequestError`` in a sentence for what is not one."""
    content = _content(path)
    if content.get("schema_version") != SCHEMA_VERSION:
        raise RequestError(
            f"{path}: schema_version is {content.get('schema_version')!r} where this "
            f"googlenet-bench reads {SCHEMA_VERSION}; {_how_to_write(path)}"
        )
    try:
        found = msgspec.convert(content, Baseline)
    except msgspec.ValidationError as error:
        raise RequestError(f"{path} is damaged: {error}; {_how_to_write(path)}") from error
    for cell, counts in found.cells.items():
        if odd := sorted(counts.keys() ^ RULES.keys()):
            has = "has no" if odd[0] in RULES else "has an unknown"
            raise RequestError(f"{path} is damaged: {cell} {has} {odd[0]}; {_how_to_write(path)}")
    return found


def check_replaceable(path: Path) -> None:
    """Refuse to write a baseline over anything but a baseline, of whatever schema."""
    if not path.exists():
        return
    try:
        _content(path)
    except RequestError as error:
        raise RequestError(f"{error}; nothing is written over it") from error


def check_same_cells(baseline: Baseline, asked: Iterable[str], image_size: int, path: Path) -> None:
    """Refuse a baseline of other cells, or of larger or smaller images, than are asked for."""
    if baseline.image_size != image_size:
        raise RequestError(
            f"{path}: image_size is {baseline.image_size} where {image_size} is asked for; "
            f"{_how_to_write(path)}"
        )
    wanted, there = list(asked), baseline.cells
    missing = [name for name in wanted if name not in there]
    unasked = sorted(there.keys() - set(wanted))
    if missing or unasked:
        first = f"not {missing[0]}" if missing else f"and {unasked[0]} is not among these"
        raise RequestError(
            f"{path}: cells are {len(there)} where {len(wanted)} are asked for, {first}; "
            f"ask for the same, or {_how_to_write(path)}"
        )


def compare(baseline: Baseline, now: Baseline) -> tuple[Difference, ...]:
    """What differs, of what was counted now; both must have the same cells.

    Raises ``RequestError`` where other versions may explain all that differs: nobody can tell then
    whether the code has changed.
    """
    differences = tuple(_differences(baseline, now))
    if differences and all(difference.versions for difference in differences):
        first, *others = differences
        more = f" (and {len(others)} more differ)" if others else ""
        raise RequestError(
            f"{first.sentence}{more}: the version alone may explain that; count the baseline's "
            "code with the versions that are here"
        )
    return differences


def version_changes(baseline: Baseline, now: Baseline) -> dict[str, str]:
    """A clause for everything that has another version here than in the baseline."""
    then, here = baseline.versions, now.versions
    return {
        name: f"{name} is {here.get(name)} where the baseline has {then.get(name)}"
        for name in sorted(then.keys() | here.keys())
        if then.get(name) != here.get(name)
    }


def _differences(baseline: Baseline, now: Baseline) -> Iterator[Difference]:
    changes = version_changes(baseline, now)
    for cell, counts in now.cells.items():
        for field, is_now in counts.items():
            rule, was = RULES[field], baseline.cells[cell][field]
            if not rule.is_same(was, is_now):
                yield Difference(
                    cell=cell,
                    field=field,
                    baseline=was,
                    now=is_now,
                    change=rule.change(was, is_now),
                    versions=", ".join(changes[name] for name in rule.follows if name in changes),
                )


def _content(path: Path) -> dict[str, Any]:
    """The JSON of a baseline, of whatever schema."""
    try:
        content = msgspec.json.decode(path.read_bytes())
    except FileNotFoundError as error:
        raise RequestError(f"there is no baseline {path}; {_how_to_write(path)}") from error
    except OSError as error:
        raise RequestError(f"cannot read {path}: {error.strerror}") from error
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise RequestError(f"{path} is damaged, it is not JSON: {error}") from error
    found = content.get("format") if isinstance(content, dict) else None
    if found != FORMAT:
        raise RequestError(
            f"{path} is no baseline of googlenet-bench: format is {found!r} where {FORMAT!r} is "
            "expected"
        )
    return dict(content)


def _how_to_write(path: Path) -> str:
    output = "" if path == PATH else f" --output {shlex.quote(str(path))}"
    return f"write one, and commit it, with: googlenet-bench baseline{output}"
