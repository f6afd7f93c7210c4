"""A run whose cells were profiled, written by hand."""

from dataclasses import replace

import msgspec

from bench.cells.cell import Cell
from bench.records.record import CellRecord, RunRecord
from bench.records.reported import Operator, OperatorProfile
from tests.bench import runs

ONNX = runs.cell("googlenet", "onnxruntime")
ITERATION_S = 0.040
PROFILE = OperatorProfile(
    profiler="torch.profiler",
    iteration_s=ITERATION_S,
    operators=(
        Operator(kind="aten::mkldnn_convolution", calls=57.0, time_s=0.020),
        Operator(kind="aten::addmm", calls=1.0, time_s=0.004),
        Operator(kind="aten::max_pool2d_with_indices", calls=13.0, time_s=0.006),
    ),
)


def with_profile(record: CellRecord, profile: OperatorProfile) -> CellRecord:
    """Return a cell that was profiled in its first set, as runs do."""
    first, *others = record.setups
    return replace(record, setups=(msgspec.structs.replace(first, operators=profile), *others))


def profiled(of: Cell, profile: OperatorProfile) -> CellRecord:
    """Return a measured cell with a profile."""
    return with_profile(runs.measured(of), profile)


def run() -> RunRecord:
    onnx = msgspec.structs.replace(PROFILE, profiler="ONNX Runtime's profiler")
    cells = (
        profiled(runs.REFERENCE_EAGER, OperatorProfile(error="its executor has no profiler")),
        profiled(runs.EAGER, PROFILE),
        profiled(runs.COMPILED, PROFILE),
        replace(profiled(runs.EAGER, onnx), cell=ONNX),
    )
    return replace(runs.small("complete"), cells=cells, ceilings=runs.CEILINGS)
