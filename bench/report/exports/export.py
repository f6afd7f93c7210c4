"""What an export declares: a format of another program, and the run's figures in it."""

from collections.abc import Callable
from dataclasses import dataclass

from bench.errors import RequestError
from bench.records.record import CellRecord, RunRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """A format that another program reads, which ``report --export NAME`` prints."""

    name: str
    what: str
    """What it is, in a few words, for ``--help``."""
    render: Callable[[RunRecord], str]
    """Function that returns a run in this format, without a line break at the end."""


def measured(run: RunRecord) -> list[CellRecord]:
    """Return the cells with figures, in the order of the plan.

    Raises ``RequestError`` if there are none.
    """
    records = [record for record in run.cells if record.has_figures]
    if not records:
        raise RequestError(
            f"there is nothing to export: no cell of the run has figures, and its status is "
            f"{run.status.replace('_', ' ')}"
        )
    return records
