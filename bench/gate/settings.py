"""The gate's settings: ``[tool.googlenet-bench.gate]`` in pyproject.toml of head's tree.

For example::

    [tool.googlenet-bench.gate]
    archs = ["googlenet", "torchvision:resnet18"]
    delta = 0.05

    [[tool.googlenet-bench.gate.exceptions]]
    cells = "googlenet/compile/*"
    delta = 0.10
    reason = "the new pooling costs 7 % until it is fused"
    expires = 2027-03-31
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated

import msgspec

from bench import pyproject
from bench.cells.cell import Cell
from bench.gate import group_sequential
from bench.names import RequestError
from bench.units import counted

FILE = pyproject.FILE
TABLE = "gate"

_Names = Annotated[tuple[str, ...], msgspec.Meta(min_length=1)]
_Numbers = Annotated[tuple[int, ...], msgspec.Meta(min_length=1)]


class Waiver(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An exception: cells with a larger least effect, for a reason, until a date."""

    cells: str
    """Pattern of cell ids, with ``*``, ``?`` and ``[…]``."""
    delta: float
    """Least effect of these cells, as a share."""
    reason: Annotated[str, msgspec.Meta(min_length=1)]
    expires: date
    """Last day on which the exception is valid."""


class GateTable(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="kebab"
):
    """The settings in the file; None if the file does not set an option."""

    archs: _Names | None = None
    modes: _Names | None = None
    dtypes: _Names | None = None
    batch_sizes: _Numbers | None = None
    tasks: _Names | None = None
    delta: float = group_sequential.LEAST_EFFECT
    alpha: float = group_sequential.ALPHA
    most_sets: int = group_sequential.MOST_SETS
    budget: Annotated[float, msgspec.Meta(gt=0)] | None = None
    """Time after which no new round begins, in seconds, as ``--budget``."""
    exceptions: tuple[Waiver, ...] = ()


def read(root: Path) -> GateTable:
    """Return the settings of the tree at ``root``, with defaults if its file has none.

    Raises ``RequestError`` for a damaged file, an unknown name or a wrong type.
    """
    try:
        return msgspec.convert(pyproject.table(root, TABLE), GateTable)
    except msgspec.ValidationError as error:
        raise RequestError(f"{root / FILE}, {pyproject.heading(TABLE)}: {error}") from error


def deltas(
    exceptions: Sequence[Waiver], cells: Sequence[Cell], configured: Sequence[Cell], today: date
) -> Mapping[str, float]:
    """Return the least effects of the cells with an exception, by cell id.

    ``cells`` are measured; ``configured`` are the cells of the settings, which command-line options
    may have replaced. Raises ``RequestError`` if an exception has expired, or if it matches neither
    a measured nor a configured cell and is therefore no longer needed.
    """
    least_effects: dict[str, float] = {}
    for waiver in exceptions:
        if waiver.expires < today:
            raise RequestError(
                f"the exception for {waiver.cells!r} ({waiver.reason}) expired on "
                f"{waiver.expires}: fix the cells, or set a later date in {FILE}"
            )
        matched = list(_matched(waiver, cells))
        if not matched and not any(_matched(waiver, configured)):
            raise RequestError(
                f"the exception for {waiver.cells!r} matches none of the "
                f"{counted(len(cells), 'cell')} of this gate, for example {cells[0].id}, and "
                f"no cell of the settings: correct it, or remove it from {FILE}"
            )
        least_effects |= dict.fromkeys(matched, waiver.delta)
    return least_effects


def _matched(waiver: Waiver, cells: Sequence[Cell]) -> Iterator[str]:
    return (cell.id for cell in cells if fnmatchcase(cell.id, waiver.cells))
