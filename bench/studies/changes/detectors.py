"""The detectors that the study compares, by name: ours, asv's and Apache Otava's."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from itertools import pairwise
from types import MappingProxyType

import bench
from bench import optional
from bench.history import changes, judge
from bench.studies.changes.cases import Truth


@dataclass(frozen=True, slots=True, kw_only=True)
class Detector:
    """A way to find changes in a series of positive values."""

    find: Callable[[Sequence[float]], list[Truth]]
    module: str
    """Module that it needs."""
    package: str
    """Distribution of that module."""

    @property
    def missing(self) -> str:
        """What is not installed, as a sentence; empty if the detector can be used."""
        return optional.missing(f"the detector of {self.package}", [self.module])

    @property
    def version(self) -> str:
        """Version of its package."""
        return bench.__version__ if self.module == "bench" else version(self.package)


def _ours(level: float) -> Callable[[Sequence[float]], list[Truth]]:
    def find(values: Sequence[float]) -> list[Truth]:
        found = changes.find(values, level=level)
        return [Truth(index=each.index, is_up=each.ratio.estimate > 1) for each in found]

    return find


def _asv(values: Sequence[float]) -> list[Truth]:
    """Return all boundaries between the steps of asv's fit."""
    from asv.step_detect import detect_steps

    steps = detect_steps(list(values))
    return [Truth(index=after[0], is_up=after[2] > before[2]) for before, after in pairwise(steps)]


def _asv_regressions(values: Sequence[float]) -> list[Truth]:
    """Return what asv's web pages list as regressions: steps up by its default of 5 % or more."""
    from asv.step_detect import detect_regressions, detect_steps

    *_, positions = detect_regressions(detect_steps(list(values)), threshold=0.05)
    return [Truth(index=position[1], is_up=True) for position in positions or ()]


def _otava(values: Sequence[float]) -> list[Truth]:
    from otava.analysis import compute_change_points

    found, _ = compute_change_points(list(values))
    return [Truth(index=each.index, is_up=each.stats.mean_2 > each.stats.mean_1) for each in found]


GATE = "our gate"
DETECTORS: Mapping[str, Detector] = MappingProxyType(
    {
        "ours": Detector(find=_ours(changes.LEVEL), module="bench", package="googlenet-bench"),
        GATE: Detector(find=_ours(judge.LEVEL), module="bench", package="googlenet-bench"),
        "otava": Detector(find=_otava, module="otava", package="apache-otava"),
        "asv, all steps": Detector(find=_asv, module="asv", package="asv"),
        "asv, regressions": Detector(find=_asv_regressions, module="asv", package="asv"),
    }
)
