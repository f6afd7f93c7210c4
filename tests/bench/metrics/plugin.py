"""A plugin for tests: a metric."""

from bench.columns import scaled
from bench.metrics.metric import Better, MeasuredCell, Metric


def _images_per_parameter(cell: MeasuredCell) -> float | None:
    params = cell.record.cost.params
    return len(cell.record.host_s) * cell.record.cell.batch_size / params if params else None


PER_PARAMETER = Metric(
    name="images_per_parameter",
    heading="images / M params",
    compute=_images_per_parameter,
    write=scaled(1e6, 4),
    explanation="The images that were timed, divided by the parameters.",
    better=Better.MORE,
    rank=1,  # among the seven columns that are shown first
)
