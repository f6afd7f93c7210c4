"""The cases of the study: what is injected, in which mode, and how much of it."""

from collections.abc import Mapping
from dataclasses import dataclass

# How the gate visits its workers now. Rows of other protocols stay in the tables, but do not count
# for the present gate.
PROTOCOL = "neighbours visited for one iteration"


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Case:
    """A mode and the injection that is added to the network in it."""

    mode: str
    kind: str
    percent: float
    """Calibrated slowdown, in percent of the latency without it; 0 for an A/A pair."""

    @property
    def is_same(self) -> bool:
        """Whether this is an A/A pair, with nothing injected."""
        return self.percent == 0


def _cases(mode: str, kind: str, *percents: float) -> tuple[Case, ...]:
    return tuple(Case(mode=mode, kind=kind, percent=percent) for percent in percents)


SIZES = (3.0, 5.0, 10.0)
# The cases of a plan are measured in the same sets, with the network without injection.
PLANS: Mapping[str, tuple[Case, ...]] = {
    "same": tuple(
        case for mode in ("eager", "compile", "channels_last") for case in _cases(mode, "none", 0.0)
    ),
    "sizes": tuple(
        case
        for mode in ("eager", "channels_last")
        for case in (*_cases(mode, "none", 0.0), *_cases(mode, "conv", *SIZES))
    ),
    "kinds": (
        *_cases("eager", "none", 0.0),
        *_cases("eager", "python", 5.0),
        *_cases("eager", "stutter", 5.0),
        *_cases("compile", "none", 0.0),
        *_cases("compile", "break", 5.0),
    ),
}
