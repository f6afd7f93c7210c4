"""Exceptions of a gate: cells that may become slower by more, for a reason and until a date."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Annotated

import msgspec

from bench.cells.cell import Cell
from bench.errors import RequestError
from bench.names import matches
from bench.pyproject import FILE
from bench.units import counted


class Waiver(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An exception: cells with a larger least effect, for a reason, until a date."""

    cells: str
    """Pattern of cell ids, in which ``*`` stands for any text."""
    delta: float
    """Least effect of these cells, as a share."""
    reason: Annotated[str, msgspec.Meta(min_length=1)]
    expires: date
    """Last day on which the exception is valid."""


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
    return (cell.id for cell in cells if matches(waiver.cells, cell.id))
