"""Accuracy that is published for a network; nothing here is measured."""

from bench.metrics.metric import NOWHERE, Better, Metric, Place
from bench.records.record import RunRecord


def _is_known(run: RunRecord) -> bool:
    return any(record.cost.accuracy is not None for record in run.cells)


ACCURACY = Metric(
    name="accuracy",
    heading="published\naccuracy %",
    compute=lambda cell: cell.record.cost.accuracy,
    write="{:.1f}".format,
    explanation="Top-1 accuracy with trained weights, as published or as stated in "
    "[tool.googlenet-bench.accuracy] of pyproject.toml (the source is in summary.csv). "
    "It is not measured here: the weights of this run are random.",
    better=Better.MORE,
    applies=_is_known,
    places={Place.SUMMARY, Place.SIDE_BY_SIDE},
    rank=1,
    order=95,
)
ACCURACY_SOURCE = Metric(
    name="accuracy_source",
    heading="source of the accuracy",
    is_text=True,
    compute=lambda cell: cell.record.cost.accuracy_source,
    applies=_is_known,
    places=NOWHERE,
    order=475,
)
