"""The card: what the driver tells of a CUDA device at a moment, and what two moments tell.

Pure: bench/machine/nvml.py reads it. None is what a driver, or this kind of card, does not tell.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Protocol

from bench.units import MIB, in_mib

# The bits of NVML's clocks event reasons that say why clocks are lower than they might be.
REASONS: Mapping[int, str] = {
    0x1: "idle",
    0x2: "application_clocks",
    0x4: "power_cap",
    0x8: "hw_slowdown",
    0x10: "sync_boost",
    0x20: "sw_thermal",
    0x40: "hw_thermal",
    0x80: "power_brake",
    0x100: "display_clocks",
}
# What makes a round's figures another machine's: too hot, or the power supply's alarm. Not among
# them is ``hw_slowdown``: by NVML's manual a mere change of clocks may show it.
THERMAL = frozenset({"sw_thermal", "hw_thermal", "power_brake", "thermal"})
POWER_CAP = "power_cap"
"""The card at its power limit is the card as it was bought: told, and no reason to void."""
# A choice: below it nobody's use is told from the driver's own bookkeeping.
FOREIGN_BYTES = 100 * MIB


@dataclass(frozen=True, slots=True, kw_only=True)
class CardProcess:
    """A process that has something on the card."""

    pid: int
    name: str | None = None
    used_bytes: int | None = None

    def __str__(self) -> str:
        name = f" ({self.name})" if self.name else ""
        held = "" if self.used_bytes is None else f" with {in_mib(self.used_bytes)}"
        return f"process {self.pid}{name}{held}"


@dataclass(frozen=True, slots=True, kw_only=True)
class CardReading:
    """A card at a moment."""

    sm_hz: int | None = None
    memory_hz: int | None = None
    temperature_c: int | None = None
    power_w: float | None = None
    reasons: tuple[str, ...] | None = None
    """Why its clocks are as low as they are at this moment; names of ``REASONS``."""
    throttled_s: Mapping[str, float] | None = None
    """For how long it was slowed down since the driver was loaded, by reason."""
    energy_j: float | None = None
    """What it has taken since the driver was loaded."""
    used_bytes: int | None = None
    """Of its memory, by everybody."""
    own_processes: int = 0
    own_bytes: int | None = None
    """What this run's own processes hold; None where the driver does not say it of each."""
    others: tuple[CardProcess, ...] | None = None
    """Processes that are not this run's."""

    @property
    def unlisted_bytes(self) -> int | None:
        """Memory of nobody that is listed; all of it where a listed one's is not told."""
        if self.used_bytes is None:
            return None
        held = [process.used_bytes for process in self.others or ()]
        if self.own_processes:
            held.append(self.own_bytes)
        return self.used_bytes - (0 if None in held else sum(filter(None, held)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """A card before and after something was done on it."""

    before: CardReading
    after: CardReading

    @property
    def throttling(self) -> frozenset[str]:
        """The reasons for which it was slowed down in between, at an end of it at the least."""
        counted = {name for name, seconds in self.throttled_s.items() if seconds > 0}
        seen = {*(self.before.reasons or ()), *(self.after.reasons or ())}
        return frozenset(counted | seen) - {"idle"}

    @property
    def throttled_s(self) -> Mapping[str, float]:
        """For how long it was slowed down in between, by reason, where that is counted."""
        before = self.before.throttled_s or {}
        after = self.after.throttled_s or {}
        return {name: after[name] - before[name] for name in after if name in before}

    @property
    def energy_j(self) -> float | None:
        """What it took in between; None where that is not counted, or was counted anew."""
        before, after = self.before.energy_j, self.after.energy_j
        if before is None or after is None or after < before:
            return None
        return after - before

    def foreign_use(self, allowed: Collection[int] = ()) -> bool:
        """Whether somebody else used the card in between, as far as the driver tells.

        ``allowed`` are the processes that were there when the run began. No worker starts in a
        round: whoever is new is foreign. Whoever stayed is too, unless none of our own processes is
        listed: then a container lists all by numbers of another namespace, ours among them.
        """
        before = {process.pid for process in self.before.others or ()}
        after = {process.pid for process in self.after.others or ()}
        ours_are_known = self.before.own_processes or self.after.own_processes
        foreign = before | after if ours_are_known else after - before
        return bool(foreign.difference(allowed)) or self._more_is_used()

    def _more_is_used(self) -> bool:
        before, after = self.before.unlisted_bytes, self.after.unlisted_bytes
        return before is not None and after is not None and after - before > FOREIGN_BYTES


class Meter(Protocol):
    """Something that reads a card."""

    def read(self) -> CardReading:
        """Read it now."""
        ...

    def energy_j(self) -> float | None:
        """Read what it has taken alone, which is done at once; None where that is not counted."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """A card of a run."""

    meter: Meter
    facts: Mapping[str, object]
    """What does not change while it is measured on (bench/machine/nvml.py, ``describe``)."""
    allowed: frozenset[int] = frozenset()
    """Processes besides this run's that were there when it began, and may be."""
    is_shared: bool = False
    """Whether others were on it when the run began, listed or not."""

    @property
    def energy_is_ours(self) -> bool:
        """Whether what it takes is taken for this run: its counter is the whole card's."""
        return not self.is_shared and not self.facts.get("mig")


def strangers(found: CardReading) -> tuple[str, ...]:
    """Who else has something on the card, in words; of a reading made before any worker started."""
    listed = tuple(str(process) for process in found.others or ())
    unlisted = found.unlisted_bytes
    if unlisted is not None and unlisted > FOREIGN_BYTES and not _any_untold(found):
        listed += (f"{in_mib(unlisted)} of nobody that the driver lists",)
    return listed


def _any_untold(found: CardReading) -> bool:
    return any(process.used_bytes is None for process in found.others or ())
