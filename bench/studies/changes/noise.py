"""The noise of the simulated series: of a run's logarithm of a ratio, from our own A/A data."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from bench.errors import RequestError
from bench.studies.power import report as power_report
from bench.studies.power import table
from bench.studies.power.cases import PROTOCOL
from bench.studies.power.sets import SetRow
from bench.studies.sharpness import report as sharpness_report

SETS = 5
"""Sets of fresh workers in a run, as in the profile ``default``."""
NOISY = 3.0  # times the measured noise: about what sets of an earlier protocol had
_AUTOCORRELATION = 0.5
_FREEDOM = 3  # of Student's t: heavy tails, but with a variance

Array: TypeAlias = "np.ndarray[Any, Any]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A/A data: the log-ratio of two workers with the same network, in which nothing changed."""

    sets: tuple[Array, ...]
    """Log-ratios of sets of fresh workers, less their mean, in time order: one array per mode."""
    rounds: tuple[Array, ...]
    """Log-ratios of rounds of the same two workers, in time order: one array per pair."""

    @property
    def run_sd(self) -> float:
        """Standard deviation of the mean of a run's sets."""
        return math.sqrt(float(np.mean([values.var(ddof=1) for values in self.sets])) / SETS)


Noise: TypeAlias = Callable[[np.random.Generator, Measured, int], Array]
"""A source of noise: returns so many logarithms, one for each run."""


def normal(random: np.random.Generator, measured: Measured, count: int) -> Array:
    """Return normally distributed noise."""
    return measured.run_sd * random.standard_normal(count)


def heavy_tails(random: np.random.Generator, measured: Measured, count: int) -> Array:
    """Return noise of Student's t with the same standard deviation."""
    scale = measured.run_sd / math.sqrt(_FREEDOM / (_FREEDOM - 2))
    return scale * random.standard_t(_FREEDOM, count)


def resampled(random: np.random.Generator, measured: Measured, count: int) -> Array:
    """Return the means of measured sets; those of a run were measured one after the other."""
    sets = measured.sets[random.integers(len(measured.sets))]
    first = random.integers(len(sets) - SETS + 1, size=count)
    means: Array = sets[first[:, None] + np.arange(SETS)].mean(axis=1)
    return means


def noisy(random: np.random.Generator, measured: Measured, count: int) -> Array:
    """Return normally distributed noise of a much noisier machine."""
    return NOISY * normal(random, measured, count)


def autocorrelated(random: np.random.Generator, measured: Measured, count: int) -> Array:
    """Return noise in which each value resembles the one before, unlike what the test assumes."""
    steps = normal(random, measured, count)
    values = [steps[0]]
    for step in steps[1:]:
        fresh = math.sqrt(1 - _AUTOCORRELATION**2) * step
        values.append(_AUTOCORRELATION * values[-1] + fresh)
    return np.array(values)


NOISES: Mapping[str, Noise] = MappingProxyType(
    {
        "A/A sets": resampled,
        "normal": normal,
        "heavy tails": heavy_tails,
        "noisy": noisy,
        "autocorrelated": autocorrelated,
    }
)

ASSUMED = ("A/A sets", "normal", "heavy tails")
"""Noises that fulfil what the test assumes, with the measured standard deviation."""


def read(folder: Path) -> Measured:
    """Return the A/A data of a machine's reports.

    Raises ``RequestError`` if the folder has none, or holds something else.
    """
    rows = table.read(folder / power_report.SETS_FILE, SetRow)
    iterations = sharpness_report.read(folder / sharpness_report.RAW_FILE)
    sets = tuple(_by_mode(rows))
    if not sets:
        raise RequestError(
            f"{folder} has no A/A sets: measure some with `nox -s gate_power -- --sets 20 --plan "
            "same`, or name another folder with --data"
        )
    return Measured(sets=sets, rounds=tuple(_pairs(iterations)))


def _by_mode(rows: Iterable[SetRow]) -> Iterable[Array]:
    by_mode: dict[str, list[SetRow]] = {}
    for row in rows:
        if row.case.is_same and row.protocol == PROTOCOL and row.load == "quiet":
            by_mode.setdefault(row.mode, []).append(row)
    for of_mode in by_mode.values():
        logs = np.array([row.log_ratio for row in sorted(of_mode, key=lambda row: row.began)])
        logs = logs[np.isfinite(logs)]
        if len(logs) >= 2 * SETS:
            yield logs - logs.mean()


def _pairs(iterations: pd.DataFrame) -> Iterable[Array]:
    """Yield the log-ratios of each two workers with one network, mode and server, by round."""
    ways = {"spin": "one", "dropped": "one", "processes": "second"}
    for (experiment, _, _), rows in iterations.groupby(["experiment", "arm", "repetition"]):
        if experiment not in ways:
            continue
        visits = rows[rows["way"] == ways[experiment]]
        logs = sharpness_report.by_round(visits[visits["iteration"] == visits["iteration"].max()])
        by_network: dict[Sequence[Any], list[Any]] = {}
        for column in logs.columns:
            by_network.setdefault(column[:-1], []).append(column)
        for same in by_network.values():
            for first, second in combinations(same, 2):
                yield (logs[first] - logs[second]).to_numpy()
