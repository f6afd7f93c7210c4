"""The figures of two runs side by side, in a row per cell."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from bench import metrics
from bench.cells.cell import Cell
from bench.columns import bounded
from bench.compare.comparison import Compared
from bench.metrics.metric import Metric, Place
from bench.records.record import RunRecord
from bench.report import frame

Row = dict[str, Any]


def shown(runs: Sequence[RunRecord]) -> tuple[Metric, ...]:
    """Return the metrics that a comparison of these runs shows."""
    names = [metric.name for run in runs for metric in metrics.applying(run, Place.COMPARISON)]
    return tuple(metric for metric in metrics.ordered() if metric.name in names)


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
                f"{name}_{side}": row.get(name)
                for metric in shown((a, b))
                for name in filter(None, (metric.name, metric.at_least))
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
