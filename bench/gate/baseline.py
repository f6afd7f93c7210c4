"""The baseline: a committed file of counts, and what differs from it. Plain data, without torch.

Any difference fails the gate, one for the better too: a baseline that is not what the code is would
let the next change be as much worse, and nobody would be told. It asks for a new baseline, whose
diff a reviewer sees. Schema versions:

1. The first, counted by fvcore with tables of our own.
2. Counted by PyTorch's ``FlopCounterMode``: ``versions`` has the counter, a cell the operators that
   are not counted, and fvcore's total may be null.
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
from bench.records.counted import not_counted
from bench.worker.formulas import COUNTER

FORMAT = "googlenet-bench baseline"
SCHEMA_VERSION = 2
PATH = Path("reports/baseline.json")

# Of peak bytes. Rounding every tensor up to 512 bytes, as CUDA's allocator does, adds 0.2 % to
# GoogLeNet's; versions of PyTorch may differ in what an operator puts out beside its result.
PEAK_TOLERANCE = 0.01
LIBRARIES = ("torch", "torchvision", "fvcore")
_DYNAMO = ("torch", "python")
_OPERATORS = ("torch", "torchvision")
MACS = ("macs_per_image", "flops_per_image")
FVCORE = "fvcore_total_per_image"
UNCOUNTED = "uncounted "
"""Begins the name of a count of calls: those of an operator that may multiply, without a formula.
"""


class Change(StrEnum):
    """Which way a count went."""

    WORSE = "worse"
    BETTER = "better"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True, kw_only=True)
class CountRule:
    """How a count is compared."""

    what: str
    less_is_better: bool = True
    tolerance: float = 0.0
    """A share of the baseline's; a count no further from it than that is the same."""
    follows: tuple[str, ...] = ()
    """What may change it by itself, in another version."""

    def is_same(self, then: int | None, now: int | None) -> bool:
        """Whether a count is what the baseline has."""
        if then is None or now is None:
            return then is now
        return abs(now - then) <= self.tolerance * abs(then)

    def change(self, then: int | None, now: int | None) -> Change:
        """Which way a count went that is not the same."""
        if not self.less_is_better or then is None or now is None:
            return Change.CHANGED
        return Change.WORSE if now > then else Change.BETTER


RULES: Mapping[str, CountRule] = MappingProxyType(
    {
        "params": CountRule(what="parameters without auxiliary heads"),
        "params_with_aux": CountRule(what="parameters with them"),
        "macs_per_image": CountRule(
            what="of convolutions, linear layers and other matrix products", follows=_OPERATORS
        ),
        "flops_per_image": CountRule(what="2 × MACs", follows=_OPERATORS),
        FVCORE: CountRule(
            what="fvcore's own; null where it cannot trace the network",
            follows=("fvcore", *_OPERATORS),
        ),
        "weights_bytes": CountRule(what="parameters and buffers, in the cell's dtype"),
        "peak_bytes": CountRule(
            what="most of weights, images and activations that are alive together, in eager",
            tolerance=PEAK_TOLERANCE,
            follows=("torch",),
        ),
        "graphs": CountRule(
            what="that Dynamo captures; none in eager",
            less_is_better=False,  # more are breaks, and none is a network that is not compiled
            follows=_DYNAMO,
        ),
        "graph_breaks": CountRule(what="between them", follows=_DYNAMO),
        "recompiled_graphs": CountRule(what="in a second iteration", follows=_DYNAMO),
    }
)
# A lower bound of MACs that goes up or down says nothing of all MACs.
_LOWER_BOUND = CountRule(what="a lower bound", less_is_better=False, follows=_OPERATORS)
_UNCOUNTED = CountRule(
    what="calls of an operator that is not counted", less_is_better=False, follows=_OPERATORS
)
Counts = Mapping[str, int | None]
"""What is counted of a cell, by the names of ``RULES``: bench/gate/counts.py has how.

Besides, ``uncounted aten::foo`` for each operator that makes its MACs a lower bound.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """Counts of cells by their ids, and what they were counted with."""

    image_size: int
    """Height and width, in pixels."""
    versions: Mapping[str, str]
    """Python's version; those of ``LIBRARIES`` without what a build adds (2.11.0 for 2.11.0+cpu);
    and the ``counter`` of MACs."""
    cells: Mapping[str, Counts]


@dataclass(frozen=True, slots=True, kw_only=True)
class CountDifference:
    """A count that is not what the baseline has."""

    cell: str
    field: str
    baseline: int | None
    now: int | None
    change: Change
    versions: str = ""
    """What may have changed it by itself, in which version there and here."""

    @property
    def sentence(self) -> str:
        """The cell, the field and both values."""
        by_itself = f"; {self.versions}" if self.versions else ""
        return (
            f"{self.cell}: {self.field} is {_told(self.now)} where the baseline has "
            f"{_told(self.baseline)} ({self.change}{by_itself})"
        )


def versions_here() -> dict[str, str]:
    """The versions that counts are made with here; raises ``ModuleNotFoundError`` without one."""
    libraries = {name: version(name).partition("+")[0] for name in LIBRARIES}
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    return {"python": python, **libraries, "counter": COUNTER}


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
        known = {name for name in counts if not name.startswith(UNCOUNTED)}
        if odd := sorted(known ^ RULES.keys()):
            has = "has no" if odd[0] in RULES else "has an unknown"
            raise RequestError(f"{path} is damaged: {cell} {has} {odd[0]}; {_how_to_write(path)}")
        if unknown := {name for name, count in counts.items() if count is None} - {FVCORE}:
            first = min(unknown)
            raise RequestError(
                f"{path} is damaged: {first} of {cell} is null; {_how_to_write(path)}"
            )
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


def check_same_counter(baseline: Baseline, path: Path) -> None:
    """Refuse a baseline whose multiply-accumulates another counter counted."""
    counter = baseline.versions.get("counter")
    if counter != COUNTER:
        raise RequestError(
            f"{path}: its MACs were counted by {counter!r} where this googlenet-bench counts with "
            f"{COUNTER!r}; {_how_to_write(path)}"
        )


def lower_bounds(counted: Baseline) -> dict[str, str]:
    """The cells whose MACs are a lower bound, with the operators that are left out."""
    left_out = {name: not_counted(_uncounted(counts)) for name, counts in counted.cells.items()}
    return {name: operators for name, operators in left_out.items() if operators}


def compare(baseline: Baseline, now: Baseline) -> tuple[CountDifference, ...]:
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


def _differences(baseline: Baseline, now: Baseline) -> Iterator[CountDifference]:
    changes = version_changes(baseline, now)
    for cell, counts in now.cells.items():
        before = baseline.cells[cell]
        gone = (name for name in before if name.startswith(UNCOUNTED))
        for field in dict.fromkeys((*counts, *gone)):
            rule, was, is_now = (
                _rule(field, before, counts),
                before.get(field, 0),
                counts.get(field, 0),
            )
            if not rule.is_same(was, is_now):
                yield CountDifference(
                    cell=cell,
                    field=field,
                    baseline=was,
                    now=is_now,
                    change=rule.change(was, is_now),
                    versions=", ".join(changes[name] for name in rule.follows if name in changes),
                )


def _rule(field: str, *sides: Counts) -> CountRule:
    if field.startswith(UNCOUNTED):
        return _UNCOUNTED
    is_lower_bound = field in MACS and any(map(_uncounted, sides))
    return _LOWER_BOUND if is_lower_bound else RULES[field]


def _uncounted(counts: Counts) -> dict[str, int]:
    """The operators of a cell that are not counted, by how often they ran."""
    return {
        name.removeprefix(UNCOUNTED): ran or 0
        for name, ran in counts.items()
        if name.startswith(UNCOUNTED)
    }


def _told(count: int | None) -> str:
    return "unknown" if count is None else f"{count:,}"


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
