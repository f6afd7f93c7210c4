"""The card: the state of a CUDA device according to its driver, and changes between two states.

This module is pure; bench/machine/nvml.py does the reading. A value of None means that the driver
or this kind of card does not report it.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Protocol

from bench.machine.environment import CardFacts
from bench.units import MIB, in_mib

PACKAGE = "nvidia-ml-py"  # it reads the card; nvml.py is the only module that imports it

# Bits of NVML's clocks event reasons: why clocks are below their maximum.
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
# Reasons that invalidate a round: overheating, or the power supply's alarm. ``hw_slowdown`` is not
# one of them: according to NVML's manual it may also be shown at a mere change of clocks.
THERMAL = frozenset({"sw_thermal", "hw_thermal", "power_brake", "thermal"})
POWER_CAP = "power_cap"
"""The power limit is a property of the card: it is reported, but does not void a round."""
# Chosen: smaller use cannot be distinguished from the driver's own bookkeeping.
FOREIGN_BYTES = 100 * MIB


@dataclass(frozen=True, slots=True, kw_only=True)
class CardProcess:
    """A process that uses the card."""

    pid: int
    name: str | None = None
    used_bytes: int | None = None

    def __str__(self) -> str:
        name = f" ({self.name})" if self.name else ""
        memory = "" if self.used_bytes is None else f" with {in_mib(self.used_bytes)}"
        return f"process {self.pid}{name}{memory}"


@dataclass(frozen=True, slots=True, kw_only=True)
class CardReading:
    """The state of a card at one moment."""

    sm_hz: int | None = None
    memory_hz: int | None = None
    temperature_c: int | None = None
    power_w: float | None = None
    reasons: tuple[str, ...] | None = None
    """Why the clocks are below their maximum at this moment; names in ``REASONS``."""
    throttled_s: Mapping[str, float] | None = None
    """Seconds of slowdown since the driver was loaded, by reason."""
    energy_j: float | None = None
    """Energy used since the driver was loaded."""
    used_bytes: int | None = None
    """Memory used by all processes."""
    own_processes: int = 0
    own_bytes: int | None = None
    """Memory of this run's processes; None if the driver does not report that of each."""
    others: tuple[CardProcess, ...] | None = None
    """Processes that do not belong to this run."""

    @property
    def unlisted_bytes(self) -> int | None:
        """Memory not used by listed processes; all used memory if a process's share is unknown."""
        if self.used_bytes is None:
            return None
        listed = [process.used_bytes for process in self.others or ()]
        if self.own_processes:
            listed.append(self.own_bytes)
        return self.used_bytes - (0 if None in listed else sum(filter(None, listed)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """The states of a card before and after some work."""

    before: CardReading
    after: CardReading

    @property
    def throttling(self) -> frozenset[str]:
        """Reasons for a slowdown, counted in between or seen at either end."""
        counted = {name for name, seconds in self.throttled_s.items() if seconds > 0}
        seen = {*(self.before.reasons or ()), *(self.after.reasons or ())}
        return frozenset(counted | seen) - {"idle"}

    @property
    def throttled_s(self) -> Mapping[str, float]:
        """Seconds of slowdown in between, by reason; only reasons that are counted."""
        before = self.before.throttled_s or {}
        after = self.after.throttled_s or {}
        return {name: after[name] - before[name] for name in after if name in before}

    @property
    def energy_j(self) -> float | None:
        """Energy used in between; None if it is not counted or the counter was reset."""
        before, after = self.before.energy_j, self.after.energy_j
        if before is None or after is None or after < before:
            return None
        return after - before

    def foreign_use(self, allowed: Collection[int] = ()) -> bool:
        """Whether another process used the card in between, as far as the driver reports it.

        ``allowed``: ids of the processes that were on it when the run began. No worker starts in a
        round, so a new process is foreign. A process that stayed is foreign too, unless none of our
        processes is listed: a container may list all, ours too, with ids of another namespace.
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
    """Reads the state of a card."""

    def read(self) -> CardReading:
        """Return the current state."""
        ...

    def energy_j(self) -> float | None:
        """Return only the energy counter, which is fast to read; None if there is none."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """A card that a run uses."""

    meter: Meter
    facts: CardFacts
    allowed: frozenset[int] = frozenset()
    """Ids of other processes that were on it when the run began and may stay."""
    is_shared: bool = False
    """Whether others used it when the run began, listed or not."""

    @property
    def energy_is_ours(self) -> bool:
        """Whether its energy is used only by this run; the counter is that of the full card."""
        return not self.is_shared and not self.facts.mig


def other_users(reading: CardReading) -> tuple[str, ...]:
    """Return descriptions of other users, from a reading made before any worker started."""
    listed = tuple(str(process) for process in reading.others or ())
    unlisted = reading.unlisted_bytes
    if unlisted is not None and unlisted > FOREIGN_BYTES and not _any_unknown(reading):
        listed += (f"{in_mib(unlisted)} of processes that the driver does not list",)
    return listed


def _any_unknown(reading: CardReading) -> bool:
    return any(process.used_bytes is None for process in reading.others or ())
