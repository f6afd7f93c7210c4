"""The figures of two runs side by side, in a row per cell."""

import math
from collections.abc import Callable, Hashable, Mapping
from typing import Any, NamedTuple

from bench.cells.cell import Cell
from bench.compare.comparison import Compared
from bench.records.record import RunRecord
from bench.report import frame
from bench.tables import BLANK, bounded, milliseconds, scaled
from bench.units import MIB

Row = dict[str, Any]


class Figure(NamedTuple):
    """A figure of a cell in either run: a column of ``frame.summary`` and its format."""

    name: str
    heading: str
    write: Callable[[Any], str]
    is_count: bool = False
    """Whether the figure is exact, so that even the smallest difference is shown."""


FIGURES = (
    Figure("latency_s", "latency ms", milliseconds),
    Figure("params", "params M", scaled(1e-6, 3), is_count=True),
    Figure("macs_per_image", "GMACs/image", scaled(1e-9, 3), is_count=True),
    Figure("peak_memory_bytes", "memory MiB", scaled(1 / MIB, 0)),
    Figure("compile_cold_s", "compile\ncold s", scaled(1, 1)),
    Figure("compile_warm_s", "compile\nwarm s", scaled(1, 1)),
    Figure("graph_breaks", "graph\nbreaks", scaled(1, 0), is_count=True),
    Figure("sets", "sets", scaled(1, 0), is_count=True),
)


def rows(compared: Compared, a: RunRecord, b: RunRecord) -> list[Row]:
    """Return a row for each cell that has figures in both runs."""
    of_a, of_b = _summary(a), _summary(b)
    return [
        {
            "cell": comparison.a.cell.id,
            "cell_b": comparison.b.cell.id,
            "status": "compared",
            "measured_together": False,
            "advice": comparison.advice or "reference",
            "advice_by": comparison.basis,
            "reference": comparison.reference and comparison.reference.id,
            "reference_beyond_drift": bool(compared.beyond_drift),
            **bounded("ratio_b_over_a", comparison.ratio),
            **bounded("latency_b_over_a", comparison.latency),
            **{
                f"{figure.name}_{side}": row[figure.name]
                for figure in FIGURES
                for side, row in (("a", of_a[comparison.a.cell]), ("b", of_b[comparison.b.cell]))
            },
        }
        for comparison in compared.cells
    ]


def _summary(run: RunRecord) -> Mapping[Cell, Mapping[Hashable, Any]]:
    rows = frame.summary(run).to_dict("records")
    return {record.cell: row for record, row in zip(run.cells, rows, strict=True)}


def missing(compared: Compared, a: RunRecord, b: RunRecord) -> list[Row]:
    """Return a row for each cell that has no figures in one of the runs, with the reason."""
    reasons = {
        (name, row["cell"]): f"{row['kind']}: {row['reason']}"
        for name, run in (("A", a), ("B", b))
        for row in frame.failures(run).to_dict("records")
    }
    return [
        {
            "cell": lack.cell.id,
            "status": f"{'no figures' if lack.is_known else 'not there'} in {lack.run}",
            "reason": " ".join(reasons.get((lack.run, lack.cell.id), "").split()),
        }
        for lack in sorted(compared.missing, key=lambda lack: (lack.cell.id, lack.run))
    ]


def change(figure: Figure, row: Row) -> str | None:
    """Return a figure of both runs: once if they agree, else as "A → B".

    Returns None if the figure is 0 or missing in both runs.
    """
    values = [row[f"{figure.name}_a"], row[f"{figure.name}_b"]]
    if all(value == 0 or _is_missing(value) for value in values):
        return None
    texts = [BLANK if _is_missing(value) else figure.write(value) for value in values]
    if figure.is_count and texts[0] == texts[1] and values[0] != values[1]:
        texts = [f"{value:,.0f}" for value in values]
    return " → ".join(dict.fromkeys(texts))


def _is_missing(value: float | None) -> bool:
    return value is None or math.isnan(value)
