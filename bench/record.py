"""What is kept of a run: plain data, from which every report and verdict can be made again."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bench.cell import Cell

SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """The timed iterations of one worker in one round, the dropped first one not among them."""

    set_index: int
    round_index: int
    host_s: tuple[float, ...]
    device_s: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why a cell has no figures."""

    kind: str
    """``error``, ``died``, ``timeout``, ``out_of_memory``, ``wrong_answer``, ``start``, …"""
    message: str
    phase: str
    set_index: int
    stderr: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CellRecord:
    """Everything measured of one cell."""

    cell: Cell
    visits: tuple[Visit, ...] = ()
    setups: tuple[Mapping[str, Any], ...] = ()
    """One for each set: what preparing, warming up and finishing its worker showed."""
    cost: Mapping[str, Any] = field(default_factory=dict)
    """What the arch costs on paper, for one image; or under ``error`` why that is not known."""
    failure: Failure | None = None

    @property
    def host_s(self) -> tuple[float, ...]:
        """Every latency sample, in seconds, in the order measured."""
        return tuple(sample for visit in self.visits for sample in visit.host_s)

    @property
    def device_s(self) -> tuple[float, ...]:
        """Every sample by the device's own events; empty where there are none."""
        return tuple(sample for visit in self.visits for sample in visit.device_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """A whole run: every cell, and the circumstances."""

    cells: tuple[CellRecord, ...]
    environment: Mapping[str, Any]
    """As workers saw it (bench/environment.py, ``describe``)."""
    plan: Mapping[str, Any]
    """Sets, rounds, budget, seed, image size, profile, reference arch and the command."""
    status: str
    """``complete``, ``over_budget`` or ``interrupted``."""
    phases_s: Mapping[str, float]
    """Where the wall time went, in seconds by phase."""
    machine_info: Mapping[str, Any] = field(default_factory=dict)
    """pytest-benchmark's own."""
    commit_info: Mapping[str, Any] = field(default_factory=dict)
    """pytest-benchmark's own."""
    datetime: str = ""
    """When it was written, in ISO 8601, UTC."""

    @property
    def reference_arch(self) -> str:
        """The arch that ratios are taken to."""
        return str(self.plan["reference_arch"])
