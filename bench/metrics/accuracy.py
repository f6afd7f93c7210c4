"""Error of a cell's answers."""

from functools import partial

from bench.metrics.metric import NOWHERE, Better, MeasuredCell, Metric, Place


def _largest(cell: MeasuredCell, name: str) -> float | None:
    value: float | None = cell.largest(name)
    return value


OUTPUT_ERROR = Metric(
    name="output_error",
    heading="output error",
    compute=partial(_largest, name="output_error"),
    write="{:.1e}".format,
    explanation="The relative L2 distance to the output of fp32 eager with the same weights and "
    "images. A cell whose error exceeds the bound of its dtype (in summary.csv) fails.",
    better=Better.LESS,
    places={Place.SUMMARY},
    order=800,
)
ERROR_BOUND = Metric(
    name="error_bound",
    heading="error bound",
    compute=partial(_largest, name="error_bound"),
    write="{:.1e}".format,
    places=NOWHERE,
    order=810,
)
GRADIENT_ERROR = Metric(
    name="gradient_error",
    heading="gradient error",
    compute=partial(_largest, name="gradient_error"),
    write="{:.1e}".format,
    better=Better.LESS,
    places=NOWHERE,
    order=820,
)
