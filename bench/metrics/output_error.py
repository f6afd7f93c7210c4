"""Error of a cell's answers."""

from bench.columns import IN_FULL
from bench.metrics.metric import NOWHERE, Better, Metric, Place

OUTPUT_ERROR = Metric(
    name="output_error",
    heading="output error",
    compute=lambda cell: cell.largest("output_error"),
    write="{:.1e}".format,
    explanation="The relative L2 distance to the output of fp32 eager with the same weights and "
    "images. A cell whose error exceeds the bound of its dtype (in summary.csv) fails.",
    better=Better.LESS,
    places={Place.SUMMARY},
    rank=IN_FULL,
    order=800,
)
ERROR_BOUND = Metric(
    name="error_bound",
    heading="error bound",
    compute=lambda cell: cell.largest("error_bound"),
    write="{:.1e}".format,
    places=NOWHERE,
    order=810,
)
GRADIENT_ERROR = Metric(
    name="gradient_error",
    heading="gradient error",
    compute=lambda cell: cell.largest("gradient_error"),
    write="{:.1e}".format,
    better=Better.LESS,
    places=NOWHERE,
    order=820,
)
