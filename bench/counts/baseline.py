"""The baseline of counts, and the comparison with it. Plain data, without torch.

Any difference fails the gate, even an improvement: with an outdated baseline, the next change could
get worse by the same amount unnoticed. The gate asks for a new baseline, whose diff a reviewer
sees.
"""

import shlex
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType
from typing import Annotated

import msgspec

from bench.archs.source import Shape
from bench.errors import RequestError
from bench.records.counted import not_counted
from bench.units import counted
from bench.worker.formulas import COUNTER

PATH = Path("reports/baseline.json")

# A share of peak bytes. Rounding every tensor up to 512 bytes, as CUDA's allocator does, adds 0.2 %
# for GoogLeNet. Versions of PyTorch may differ in an operator's additional outputs.
PEAK_TOLERANCE = 0.01
LIBRARIES = ("torch", "torchvision", "fvcore")
_DYNAMO = ("torch", "python")
_OPERATORS = ("torch", "torchvision")
MACS = ("macs_per_image", "flops_per_image")
FVCORE = "fvcore_total_per_image"
UNCOUNTED = "uncounted "
"""Prefix of the count of an operator's calls, if it may multiply but has no formula."""


class Change(StrEnum):
    """The direction in which a count changed."""

    WORSE = "worse"
    BETTER = "better"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True, kw_only=True)
class CountRule:
    """The rule for comparing a count."""

    what: str
    less_is_better: bool = True
    tolerance: float = 0.0
    """Largest difference that is ignored, as a share of the baseline's count."""
    follows: tuple[str, ...] = ()
    """Names of ``Baseline.versions`` that may change the count without a change of the code."""

    def is_same(self, then: int | None, now: int | None) -> bool:
        """Return whether a count equals the baseline's within the tolerance."""
        if then is None or now is None:
            return then is now
        return abs(now - then) <= self.tolerance * abs(then)

    def change(self, then: int | None, now: int | None) -> Change:
        """Return the direction of a change; call it only if ``is_same`` is false."""
        if not self.less_is_better or then is None or now is None:
            return Change.CHANGED
        return Change.WORSE if now > then else Change.BETTER


RULES: Mapping[str, CountRule] = MappingProxyType(
    {
        "params": CountRule(what="parameters without auxiliary heads"),
        "params_with_aux": CountRule(what="parameters with auxiliary heads"),
        "macs_per_image": CountRule(
            what="MACs of convolutions, linear layers and other matrix products", follows=_OPERATORS
        ),
        "flops_per_image": CountRule(what="2 × MACs", follows=_OPERATORS),
        FVCORE: CountRule(
            what="fvcore's total; null if it cannot trace the network",
            follows=("fvcore", *_OPERATORS),
        ),
        "weights_bytes": CountRule(what="parameters and buffers, in the cell's dtype"),
        "peak_bytes": CountRule(
            what="peak of weights, images and activations that are alive together, in eager",
            tolerance=PEAK_TOLERANCE,
            follows=("torch",),
        ),
        "graphs": CountRule(
            what="graphs that Dynamo captures; 0 in eager",
            less_is_better=False,  # more graphs mean breaks; 0 means that nothing is compiled
            follows=_DYNAMO,
        ),
        "graph_breaks": CountRule(what="breaks between the graphs", follows=_DYNAMO),
        "recompiled_graphs": CountRule(what="graphs that a second iteration adds", follows=_DYNAMO),
    }
)
# A change of a lower bound does not show whether the MACs went up or down.
_LOWER_BOUND = CountRule(what="a lower bound", less_is_better=False, follows=_OPERATORS)
_UNCOUNTED = CountRule(
    what="calls of an operator that is not counted", less_is_better=False, follows=_OPERATORS
)
Count = Annotated[int, msgspec.Meta(ge=0)]
Counts = Mapping[str, Count | None]
"""Counts of a cell, by the names of ``RULES``; bench/counts/counting.py takes them.

Also has ``uncounted aten::foo`` for each operator that makes the cell's MACs a lower bound.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """Counts of cells, and the versions that they were taken with."""

    image_size: int | None
    """Height and width, in pixels; None for what each network is made for."""
    versions: Mapping[str, str]
    """Versions of Python and ``LIBRARIES``, without build tags (2.11.0 for 2.11.0+cpu), and the
    ``counter`` of MACs."""
    cells: Mapping[str, Counts]
    """Counts by cell id."""
    input_shape: Shape | None = None
    """Channels, height and width of the images of networks that do not say what they take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CountDifference:
    """A count that differs from the baseline's."""

    cell: str
    field: str
    baseline: int | None
    now: int | None
    change: Change
    versions: str = ""
    """Version changes that may explain the difference, as text; empty if there are none."""

    @property
    def sentence(self) -> str:
        """The cell, the field and both values, in a sentence."""
        versions = f"; {self.versions}" if self.versions else ""
        return (
            f"{self.cell}: {self.field} is {_as_text(self.now)} but the baseline has "
            f"{_as_text(self.baseline)} ({self.change}{versions})"
        )


def versions_here() -> dict[str, str]:
    """Return the installed versions; raise ``ModuleNotFoundError`` if a library is missing."""
    libraries = {name: version(name).partition("+")[0] for name in LIBRARIES}
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    return {"python": python, **libraries, "counter": COUNTER}


def check_same_cells(
    baseline: Baseline,
    requested: Iterable[str],
    image_size: int | None,
    path: Path,
    input_shape: Shape | None = None,
    command: str = "",
) -> None:
    """Raise ``RequestError`` if the baseline has other cells or images than requested."""
    if baseline.image_size != image_size:
        raise RequestError(
            f"{path}: image_size is {baseline.image_size}, but {image_size} is requested; "
            f"{how_to_write(path, command)}"
        )
    if baseline.input_shape != input_shape:
        raise RequestError(
            f"{path}: input_shape is {baseline.input_shape}, but {input_shape} is requested; "
            f"{how_to_write(path, command)}"
        )
    names, cells = list(requested), baseline.cells
    missing = [name for name in names if name not in cells]
    extra = sorted(cells.keys() - set(names))
    if missing or extra:
        first = f"it lacks {missing[0]}" if missing else f"{extra[0]} is not requested"
        raise RequestError(
            f"{path} has {counted(len(cells), 'cell')}, and the request has {len(names)}: {first}; "
            f"request the same cells, or {how_to_write(path, command)}"
        )


def check_same_counter(baseline: Baseline, path: Path, command: str = "") -> None:
    """Raise ``RequestError`` if another counter counted the baseline's multiply-accumulates."""
    counter = baseline.versions.get("counter")
    if counter != COUNTER:
        raise RequestError(
            f"{path}: its MACs were counted by {counter!r}, but this googlenet-bench counts with "
            f"{COUNTER!r}; {how_to_write(path, command)}"
        )


def lower_bounds(counted: Baseline) -> dict[str, str]:
    """Return the uncounted operators of each cell whose MACs are a lower bound, by cell id."""
    uncounted = {name: not_counted(_uncounted(counts)) for name, counts in counted.cells.items()}
    return {name: operators for name, operators in uncounted.items() if operators}


def compare(baseline: Baseline, now: Baseline) -> tuple[CountDifference, ...]:
    """Return the differences of the counts in ``now``; the baseline must have its cells.

    Raises ``RequestError`` if version changes may explain all differences, because it is then
    unknown whether the code changed.
    """
    differences = tuple(_differences(baseline, now))
    if differences and all(difference.versions for difference in differences):
        first, *others = differences
        more = f" (and {len(others)} more differ)" if others else ""
        raise RequestError(
            f"{first.sentence}{more}: the version alone may explain this; count the baseline's "
            "code with the versions installed here"
        )
    return differences


def version_changes(baseline: Baseline, now: Baseline) -> dict[str, str]:
    """Return a clause for each name whose version differs from the baseline's."""
    then, here = baseline.versions, now.versions
    return {
        name: f"{name} is {here.get(name)} but the baseline has {then.get(name)}"
        for name in sorted(then.keys() | here.keys())
        if then.get(name) != here.get(name)
    }


def _differences(baseline: Baseline, now: Baseline) -> Iterator[CountDifference]:
    changes = version_changes(baseline, now)
    for cell, counts in now.cells.items():
        before = baseline.cells[cell]
        old_names = (name for name in before if name.startswith(UNCOUNTED))
        for field in dict.fromkeys((*counts, *old_names)):
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
    """Return the number of calls of each operator of a cell that is not counted."""
    return {
        name.removeprefix(UNCOUNTED): calls or 0
        for name, calls in counts.items()
        if name.startswith(UNCOUNTED)
    }


def _as_text(count: int | None) -> str:
    return "unknown" if count is None else f"{count:,}"


def how_to_write(path: Path, command: str) -> str:
    output = "" if path == PATH else f" --output {shlex.quote(str(path))}"
    return f"write one and commit it: {command or f'googlenet-bench baseline{output}'}"
