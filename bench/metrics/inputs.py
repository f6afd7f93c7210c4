"""The inputs of a network."""

from bench.metrics.metric import MeasuredCell, Metric, Place
from bench.records.record import RunRecord


def _sizes(run: RunRecord) -> set[int]:
    setups = (setup for record in run.cells for setup in record.setups)
    return {setup.image_size for setup in setups if setup.image_size is not None}


def _size(cell: MeasuredCell) -> int | None:
    size: int | None = cell.largest("image_size")
    return size


IMAGE_SIZE = Metric(
    name="image_size",
    heading="image\npixels",
    compute=_size,
    write="{0}×{0}".format,
    explanation="Height and width of the images.",
    applies=lambda run: len(_sizes(run)) > 1,
    places={Place.SUMMARY, Place.SIDE_BY_SIDE},
    order=10,
)
