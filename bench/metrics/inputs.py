"""The inputs of a network."""

from bench.columns import IN_FULL
from bench.metrics.metric import MeasuredCell, Metric, Place
from bench.records.record import RunRecord


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


def _shapes(cell: MeasuredCell) -> str | None:
    found = [setup.input_shapes for setup in cell.record.setups if setup.input_shapes]
    return ", ".join(found[0]) if found else None


INPUT_SHAPES = Metric(
    name="input_shapes",
    heading="inputs",
    is_text=True,
    compute=_shapes,
    explanation="Shape of each input of one image, for networks with inputs of their own "
    "(`example_inputs`). Where rates are per image, read: per element of the batch.",
    applies=lambda run: any(s.input_shapes for cell in run.cells for s in cell.setups),
    places={Place.SUMMARY, Place.SIDE_BY_SIDE},
    rank=IN_FULL,
    order=11,
)
