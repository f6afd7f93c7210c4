"""The inputs of a network."""

from bench.metrics.metric import Metric, Place
from bench.records.record import RunRecord
from bench.tables import IN_FULL


def _sizes(run: RunRecord) -> set[int]:
    setups = (setup for record in run.cells for setup in record.setups)
    return {setup.image_size for setup in setups if setup.image_size is not None}


IMAGE_SIZE = Metric(
    name="image_size",
    heading="image\npixels",
    compute=lambda cell: cell.largest("image_size"),
    write="{0}×{0}".format,
    explanation="Height and width of the images.",
    applies=lambda run: len(_sizes(run)) > 1,
    places={Place.SUMMARY, Place.SIDE_BY_SIDE},
    rank=IN_FULL,
    order=10,
)
