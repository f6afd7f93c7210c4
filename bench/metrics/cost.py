"""Counts of an arch: parameters and multiply-accumulates."""

from bench.columns import IN_FULL, scaled
from bench.metrics.metric import NOWHERE, Axis, Better, MeasuredCell, Metric, Place
from bench.records.counted import not_counted


def _flops(cell: MeasuredCell) -> int | None:
    macs = cell.record.cost.macs_per_image
    return None if macs is None else 2 * macs


PARAMS = Metric(
    name="params",
    heading="params M",
    compute=lambda cell: cell.record.cost.params,
    write=scaled(1e-6, 3),
    better=Better.LESS,
    axis=Axis(
        name="params",
        title="parameters, M",
        scale=1e-6,
        after=" M parameters",
        comparative="has fewer parameters",
    ),
    is_count=True,
    places={Place.SUMMARY, Place.COMPARISON, Place.GATE},
    rank=IN_FULL,
    order=400,
)
PARAMS_WITH_AUX = Metric(
    name="params_with_aux",
    heading="params with\nauxiliary heads M",
    compute=lambda cell: cell.record.cost.params_with_aux,
    write=scaled(1e-6, 3),
    better=Better.LESS,
    is_count=True,
    places=NOWHERE,
    order=410,
)
MACS = Metric(
    name="macs_per_image",
    heading="GMACs/image",
    compute=lambda cell: cell.record.cost.macs_per_image,
    write=scaled(1e-9, 3),
    explanation="Multiply-accumulates of convolutions, linear layers and other matrix products in "
    "a forward pass; FLOPs = 2 × MACs.",
    better=Better.LESS,
    axis=Axis(
        name="macs",
        title="MACs per image, G",
        scale=1e-9,
        after=" GMACs/image",
        comparative="has fewer MACs",
    ),
    is_count=True,
    at_least="macs_is_lower_bound",
    places={Place.SUMMARY, Place.COMPARISON, Place.GATE},
    rank=IN_FULL,
    order=420,
)
FLOPS = Metric(
    name="flops_per_image",
    heading="GFLOPs/image",
    compute=_flops,
    write=scaled(1e-9, 3),
    better=Better.LESS,
    is_count=True,
    at_least="macs_is_lower_bound",
    places=NOWHERE,
    order=430,
)
IS_LOWER_BOUND = Metric(
    name="macs_is_lower_bound",
    heading="MACs are\na lower bound",
    compute=lambda cell: bool(cell.record.cost.uncounted),
    is_text=True,
    places=NOWHERE,
    order=440,
)
UNCOUNTED = Metric(
    name="uncounted",
    heading="not counted",
    compute=lambda cell: not_counted(cell.record.cost.uncounted) or None,
    is_text=True,
    places=NOWHERE,
    order=450,
)
FVCORE = Metric(
    name="fvcore_total_per_image",
    heading="fvcore total\nG/image",
    compute=lambda cell: cell.record.cost.fvcore_total_per_image,
    write=scaled(1e-9, 3),
    better=Better.LESS,
    is_count=True,
    places=NOWHERE,
    order=460,
)
