"""The cases: what is injected where, and how much of it. Plain data."""

from collections.abc import Mapping
from dataclasses import dataclass

# How the gate visits its workers now. Sets and gates of another way stay on record, and say nothing
# of the gate as it is.
PROTOCOL = "neighbours visited for one iteration"


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Case:
    """A mode, and what is added to the network in it."""

    mode: str
    kind: str
    percent: float
    """Of the latency without it, as calibrated; 0 for a network beside itself."""

    @property
    def is_same(self) -> bool:
        """Whether nothing was added: an A/A pair."""
        return self.percent == 0


def _of(mode: str, kind: str, *percents: float) -> tuple[Case, ...]:
    return tuple(Case(mode=mode, kind=kind, percent=percent) for percent in percents)


SIZES = (3.0, 5.0, 10.0)
# Measured together, in the same sets, each beside the network without it.
PLANS: Mapping[str, tuple[Case, ...]] = {
    "same": tuple(
        case for mode in ("eager", "compile", "channels_last") for case in _of(mode, "none", 0.0)
    ),
    "sizes": tuple(
        case
        for mode in ("eager", "channels_last")
        for case in (*_of(mode, "none", 0.0), *_of(mode, "conv", *SIZES))
    ),
    "kinds": (
        *_of("eager", "none", 0.0),
        *_of("eager", "python", 5.0),
        *_of("eager", "stutter", 5.0),
        *_of("compile", "none", 0.0),
        *_of("compile", "break", 5.0),
    ),
}
