"""The form of requests on the wire."""

from typing import Any

import msgspec
import pytest

from bench.counts.baseline import Counts
from bench.counts.protocol import CountGraphs, CountNetworks
from bench.machine.environment import Environment
from bench.records.reported import ArchCost, Ceiling, OperatorProfile
from bench.stages.protocol import CountStages, StageMacs, StageSeconds, TimeStages
from bench.worker.protocol import (
    Attempted,
    CountCost,
    Describe,
    Finish,
    Finished,
    Measure,
    MeasureCeiling,
    Measured,
    Prepare,
    Prepared,
    ProfileOperators,
    Request,
    Sustain,
    Sustained,
    TryBatch,
    WarmedUp,
    WarmUp,
)
from tests.bench import runs

CELL = {
    "arch": "googlenet",
    "mode": "eager",
    "dtype": "fp32",
    "batch_size": 1,
    "task": "infer",
    "device": "cpu",
    "control": False,
    "base": False,
    "across_dtypes": False,
}
IMAGES: dict[str, Any] = {"image_size": 224, "input_shape": (1, 28, 28), "seed": 7}
SENT = {**IMAGES, "input_shape": [1, 28, 28]}


@pytest.mark.parametrize(
    ("request_", "line", "reply"),
    [
        (
            Describe(device="cpu", libraries=("timm",)),
            {"op": "describe", "device": "cpu", "libraries": ["timm"]},
            Environment,
        ),
        (CountCost(arch="a", **IMAGES), {"op": "cost", "arch": "a", **SENT}, ArchCost),
        (
            MeasureCeiling(dtype="fp32", device="cpu"),
            {"op": "ceiling", "dtype": "fp32", "device": "cpu"},
            Ceiling,
        ),
        (
            TryBatch(cell=runs.EAGER, **IMAGES),
            {"op": "attempt", "cell": CELL, **SENT},
            Attempted,
        ),
        (
            Prepare(cell=runs.EAGER, **IMAGES, threads=2, is_cached=True),
            {
                "op": "prepare",
                "cell": CELL,
                **SENT,
                "threads": 2,
                "l2": "warm",
                "is_cached": True,
                "is_profiled": False,
            },
            Prepared,
        ),
        (WarmUp(), {"op": "warm_up"}, WarmedUp),
        (
            Measure(iterations=2, dropped=1),
            {"op": "measure", "iterations": 2, "dropped": 1, "back_to_back": 0},
            Measured,
        ),
        (Sustain(seconds=2.0), {"op": "sustain", "seconds": 2.0}, Sustained),
        (Finish(), {"op": "finish"}, Finished),
        (ProfileOperators(), {"op": "operators"}, OperatorProfile),
        (
            CountNetworks(cells=(runs.EAGER,), image_size=224),
            {"op": "count_networks", "cells": [CELL], "image_size": 224, "input_shape": None},
            dict[str, Counts],
        ),
        (
            CountGraphs(cells=(), image_size=224),
            {"op": "count_graphs", "cells": [], "image_size": 224, "input_shape": None},
            dict[str, Counts],
        ),
        (CountStages(arch="a", **IMAGES), {"op": "stage_macs", "arch": "a", **SENT}, StageMacs),
        (
            TimeStages(iterations=3, seed=7),
            {"op": "stages", "iterations": 3, "seed": 7},
            StageSeconds,
        ),
    ],
)
def test_each_request_has_its_form_and_the_type_of_its_reply(
    request_: Request[Any], line: dict[str, Any], reply: object
) -> None:
    encoded = msgspec.json.encode(request_)
    assert msgspec.json.decode(encoded) == line
    assert msgspec.json.decode(encoded, type=type(request_)) == request_
    assert type(request_).reply == reply


def test_missing_fields_have_defaults_and_unknown_ones_are_refused() -> None:
    line = {"op": "prepare", "cell": CELL, **SENT}
    assert msgspec.convert(line, Prepare) == Prepare(cell=runs.EAGER, **IMAGES)
    with pytest.raises(msgspec.ValidationError, match="unknown field `thread`"):
        msgspec.convert({**line, "thread": 1}, Prepare)
