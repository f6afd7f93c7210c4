"""Synthetic runs of networks with published accuracies and known latencies."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import msgspec

from bench.records.record import CellRecord, RunRecord, Visit
from tests.bench import runs
from tests.bench.report import rungs

REFERENCE = "torchvision"
ROUNDS = 2  # per set; few, because every sample is in a golden file


def measured(
    arch: str, accuracy: float | None, set_ms: Sequence[float], mode: str = "eager"
) -> CellRecord:
    """Return a cell with one latency per set, in ms; every iteration of a set has the same."""
    visits = tuple(
        Visit(set_index=index, round_index=number, host_s=(ms / 1e3,) * 2)
        for index, ms in enumerate(set_ms)
        for number in range(2)
    )
    cost = msgspec.structs.replace(
        runs.COST,
        accuracy=accuracy,
        accuracy_source=None if accuracy is None else f"weights of {arch} on ImageNet-1K",
    )
    return CellRecord(cell=runs.cell(arch, mode), visits=visits, setups=(runs.setup(0),), cost=cost)


def of(*records: CellRecord) -> RunRecord:
    """Return a run of these cells; the control is that of the first."""
    control = replace(records[0], cell=replace(records[0].cell, control=True))
    return replace(runs.small("complete"), cells=records, controls=(control,), rounds=(), notes=())


NETWORKS: Mapping[str, tuple[float | None, float]] = {
    REFERENCE: (69.8, 1.0),
    "torchvision:resnet18": (69.8, 0.8),
    "torchvision:resnet50": (80.9, 1.9),
    "torchvision:mobilenet_v3_large": (75.3, 0.6),
    "torchvision:squeezenet1_1": (58.2, 0.5),
    "torchvision:efficientnet_b0": (77.7, 1.4),
    "torchvision:mobilenet_v2": (72.2, 0.6003),
    "googlenet-3x3": (None, 0.98),
}
"""Accuracy in percent and latency over that of the reference, by name."""


def several(networks: Mapping[str, tuple[float | None, float]] = NETWORKS) -> RunRecord:
    """Return a run of these networks in two modes, with noise."""
    records = []
    for mode, factor in (("eager", 1.0), ("compile", 0.7)):
        for arch, (accuracy, ratio) in networks.items():
            record = rungs.measured(runs.cell(arch, mode), factor * ratio)
            visits = tuple(visit for visit in record.visits if visit.round_index < ROUNDS)
            source = None if accuracy is None else f"weights of {arch} on ImageNet-1K"
            cost = msgspec.structs.replace(record.cost, accuracy=accuracy, accuracy_source=source)
            records.append(replace(record, visits=visits, cost=cost))
    return of(*records)


def many(count: int = 40) -> RunRecord:
    """Return a run of this many networks; a third is on the front, with close accuracies."""
    networks: dict[str, tuple[float | None, float]] = {
        f"torchvision:network_{index:02}_with_a_long_name": (
            80 - 20 / (index + 1) - 2 * (index % 3),
            0.5 * 1.1**index,
        )
        for index in range(count)
    }
    return several(networks)


def close(count: int = 12) -> RunRecord:
    """Return a run whose front has this many networks of close accuracies at the top."""
    networks: dict[str, tuple[float | None, float]] = {
        f"torchvision:network_{index:02}": (80 + 0.02 * index, 1.1**index) for index in range(count)
    }
    return several({"poor": (60.0, 1.0), **networks})


CODE_NAMES = (
    "nets/a.py:f?width=2&x=[1,2]@1x28x28",
    "nets/a.py:f?width=1&x=[1,2]@1x28x28",
    "nets/a.py:f?width=2&x=[3,4]@3x32x32",
)
"""Networks in a user's files, with arguments and an input; from the most accurate to the least."""


def of_code() -> RunRecord:
    """Return a run of the networks ``CODE_NAMES``, all of which are on the front."""
    return of(
        *(
            measured(name, 80.0 - index, (20.0 - 5 * index,) * 3)
            for index, name in enumerate(CODE_NAMES)
        )
    )
