"""Series of a history with known levels."""

import math
import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from bench.history.series import Point, Series

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
SD = 0.005  # of the logarithm of a run's ratio
HALF_WIDTH = 0.01


def values(*parts: tuple[int, float], sd: float = SD, seed: int = 1) -> list[float]:
    """Return noisy values of (number of runs, level) parts."""
    generator = random.Random(seed)
    return [
        level * math.exp(generator.gauss(0, sd)) for count, level in parts for _ in range(count)
    ]


def commit(number: int) -> str:
    """Return the id of the commit of a run."""
    return f"{number % 256:02x}" * 20


def point(number: int, value: float) -> Point:
    """Return the point of a run; one run a day, each of a commit of its own."""
    return Point(
        run_id=f"run-{number}",
        when=BEGAN + timedelta(days=number),
        commit=commit(number),
        branch="main",
        value=value,
        low=value * (1 - HALF_WIDTH),
        high=value * (1 + HALF_WIDTH),
    )


def series(of: Sequence[float], *, first: int = 0, **changed: Any) -> Series:
    """Return a series of these values, from run number ``first`` on."""
    like = Series(
        cell="googlenet/compile/fp32/b1/infer/cpu",
        metric="speedup_over_reference",
        unit="",
        better="more",
        neutral=1.0,
        machine="0123456789abcdef",
        machine_name="AMD EPYC",
        torch="2.15.0",
        threads=2,
        image_size="224",
        reference="torchvision/eager/fp32/b1/infer/cpu",
        points=tuple(point(first + number, value) for number, value in enumerate(of)),
    )
    return msgspec.structs.replace(like, **changed)
