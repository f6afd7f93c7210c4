"""The gate's settings: ``[tool.googlenet-bench.gate]`` in the pyproject.toml of the tree it judges.

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

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any

import msgspec

from bench.cells.cell import Cell
from bench.gate import judge
from bench.names import RequestError

FILE = "pyproject.toml"
TABLE = ("tool", "googlenet-bench", "gate")

_Names = Annotated[tuple[str, ...], msgspec.Meta(min_length=1)]
_Numbers = Annotated[tuple[int, ...], msgspec.Meta(min_length=1)]


class Waiver(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Cells that may be slower by more than the rest, until a day, for a reason."""

    cells: str
    """A pattern of cell ids, with ``*``, ``?`` and ``[…]``."""
    delta: float
    """Their least effect, as a share."""
    reason: Annotated[str, msgspec.Meta(min_length=1)]
    expires: date
    """The last day on which it holds."""


class GateTable(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="kebab"
):
    """What the file says; None where it leaves the choice open."""

    archs: _Names | None = None
    modes: _Names | None = None
    dtypes: _Names | None = None
    batch_sizes: _Numbers | None = None
    tasks: _Names | None = None
    delta: float = judge.LEAST_EFFECT
    alpha: float = judge.ALPHA
    most_sets: int = judge.MOST_SETS
    budget: Annotated[float, msgspec.Meta(gt=0)] | None = None
    """Seconds after which no new round begins, as ``--budget``."""
    exceptions: tuple[Waiver, ...] = ()


def read(root: Path) -> GateTable:
    """The settings of the tree at ``root``; the defaults where its file has none.

    Raises ``RequestError`` in a sentence for a damaged file, an unknown name or a wrong type.
    """
    path = root / FILE
    try:
        found: Any = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return GateTable()
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise RequestError(f"cannot read {path}: {error}") from error
    for name in TABLE:
        found = found.get(name, {}) if isinstance(found, dict) else found
    try:
        return msgspec.convert(found, GateTable)
    except msgspec.ValidationError as error:
        raise RequestError(f"{path}, [{'.'.join(TABLE)}]: {error}") from error


def deltas(
    exceptions: Sequence[Waiver], cells: Sequence[Cell], own: Sequence[Cell], today: date
) -> Mapping[str, float]:
    """The least effects of the cells that are excepted, by their ids.

    ``own`` are the cells that the settings ask for, whatever was chosen instead. Raises
    ``RequestError`` where an exception has expired, or is of no cell that is measured nor of these:
    it would hide that nobody needs it any more.
    """
    found: dict[str, float] = {}
    for waiver in exceptions:
        if waiver.expires < today:
            raise RequestError(
                f"the exception for {waiver.cells!r} ({waiver.reason}) expired on "
                f"{waiver.expires}: mend the cells, or give it another day in {FILE}"
            )
        matched = list(_matched(waiver, cells))
        if not matched and not any(_matched(waiver, own)):
            raise RequestError(
                f"the exception for {waiver.cells!r} matches none of the {len(cells)} cells of "
                f"this gate, such as {cells[0].id}, nor those of the settings: correct it, or take "
                f"it out of {FILE}"
            )
        found |= dict.fromkeys(matched, waiver.delta)
    return found


def _matched(waiver: Waiver, cells: Sequence[Cell]) -> Iterator[str]:
    return (cell.id for cell in cells if fnmatchcase(cell.id, waiver.cells))
