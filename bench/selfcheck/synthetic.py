"""A synthetic run: a plan of any size, and the events that measuring it would have told.

Latencies are drawn at random; everything else is as a run on a small machine has it, whose memory
holds ``AT_ONCE`` workers, so that a group of more cells is measured in waves.
"""

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from bench.cells import plan
from bench.cells.cell import Cell
from bench.cells.plan import Plan
from bench.cells.waves import Wave, whole
from bench.names import RequestError
from bench.records import events
from bench.records.events import Event
from bench.records.record import SCHEMA_VERSION
from bench.suite.profiles import PRECISION

MODES = ("eager", "compile")
SETS = 3
AT_ONCE = 16  # workers of half a gigabyte in 8 GiB
LATENCY_S, SPREAD = 0.03, 0.05  # median, and standard deviation of the logarithm
ROUNDS = 40  # of a set
ITERATIONS = 1  # of a visit
VOIDED_SHARE = 0.02  # of the rounds
ENVIRONMENT = {
    "torch": "2.11.0",
    "device": "cpu",
    "device_name": "synthetic",
    "physical_cores": 2,
    "variables": {"OMP_NUM_THREADS": "2"},
}
COST: Mapping[str, Any] = MappingProxyType(
    {
        "params": 6_998_552,
        "params_with_aux": 13_385_816,
        "macs_per_image": 1_582_671_872,
        "fvcore_total_per_image": 1_589_174_368,
    }
)
PREPARED: Mapping[str, Any] = MappingProxyType(
    {
        "build_s": 0.5,
        "first_call_s": 4.0,
        "compile_cached": True,
        "graphs": 1,
        "graph_breaks": 0,
        "weights_bytes": 27_994_208,
        "output_error": 3e-6,
        "error_bound": 1e-3,
        "tf32_convolutions": False,
        "tf32_products": False,
        "gradient_error": None,
        "resident_before_bytes": 476_135_424,
        "host_bytes": 134_217_728,
    }
)
WARMED_UP: Mapping[str, Any] = MappingProxyType({"warm_up_iterations": 6, "warm_up_s": 0.18})
FINISHED: Mapping[str, Any] = MappingProxyType(
    {
        "peak_resident_bytes": 610_734_080,
        "peak_memory_bytes": 100_663_296,
        "recompiled_graphs": 0,
        "late_graph_breaks": 0,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How large a run is."""

    cells: int
    groups: int
    samples: int
    """Of the cells and their controls together, those of voided rounds among them."""


def plan_of(size: Size) -> Plan:
    """As many archs in two modes, and batch sizes, as make so many cells in so many groups.

    Raises ``RequestError`` where none do.
    """
    archs = size.cells // (len(MODES) * size.groups)
    cells = plan.cells(
        arch_names=[f"{__name__}:arch_{index}" for index in range(archs)],
        mode_names=MODES,
        dtype_names=("fp32",),
        batch_sizes=range(1, size.groups + 1),
        task_names=("infer",),
        device="cpu",
    )
    if len(cells) != size.cells:
        raise RequestError(
            f"{size.cells} cells cannot be {size.groups} groups of whole pairs: of archs in the "
            f"modes {' and '.join(MODES)}"
        )
    return Plan(
        cells=cells,
        sets=SETS,
        rounds=ROUNDS,
        precision=PRECISION,
        extra_s=3600.0,
        budget_s=None,
        seed=0,
        reference_arch=cells[0].arch,
    )


def waves_of(of: Plan) -> dict[str, list[Wave]]:
    """The waves that each group ends up in: the last is split while it has too many cells."""
    found = _whole(of)
    for waves in found.values():
        while waves[-1].least <= AT_ONCE < len(waves[-1].cells):
            waves += _split(waves.pop())
    return found


def sets(of: Plan, samples: int) -> Iterator[Iterator[Event]]:
    """What happens before the first set, and in each set until there are so many samples."""
    latencies = _Latencies(samples, of.seed)
    waves = _whole(of)
    yield _beginning(of)
    for set_index in itertools.count():
        if not latencies.left:
            return
        yield _set(waves, set_index, latencies)


class _Latencies:
    """So many latencies, drawn at random."""

    def __init__(self, count: int, seed: int) -> None:
        self.left = count
        self.random = np.random.default_rng(seed)

    def take(self, most: int) -> tuple[float, ...]:
        """The next ones, in seconds; fewer where there are no more."""
        taken = min(most, self.left)
        self.left -= taken
        return tuple(self.random.lognormal(math.log(LATENCY_S), SPREAD, taken).tolist())


def _beginning(of: Plan) -> Iterator[Event]:
    yield events.Began(schema_version=SCHEMA_VERSION, plan=of, environment=ENVIRONMENT)
    yield events.PhaseTimed(phase="importing", seconds=5.0)
    for arch in dict.fromkeys(cell.arch for cell in of.cells):
        yield events.Counted(arch=arch, cost=dict(COST))
    for cell in of.cells:
        if cell.mode == "compile":
            yield events.Compiled(cell=cell.id, seconds=30.0)


def _set(waves: Mapping[str, list[Wave]], set_index: int, latencies: _Latencies) -> Iterator[Event]:
    for group, known in waves.items():
        for wave_index in itertools.count():
            if wave_index == len(known) or not latencies.left:
                break
            where = {"set_index": set_index, "wave_index": wave_index}
            yield events.WaveBegan(group, **where)
            yield from _wave(known[wave_index].cells[:AT_ONCE], where, latencies)
            if len(known[wave_index].cells) > AT_ONCE:
                known[wave_index:] = _split(known[wave_index])
                yield _told(group, known)
            yield events.WaveEnded(group, **where)


def _wave(
    live: tuple[Cell, ...], where: Mapping[str, int], latencies: _Latencies
) -> Iterator[Event]:
    for facts in (PREPARED, WARMED_UP):
        for cell in live:
            yield events.WorkerReported(cell=cell.id, **where, facts=dict(facts))
    for round_index in range(ROUNDS):
        if latencies.left:
            yield from _round(live, {**where, "round_index": round_index}, latencies)
    for cell in live:
        yield events.WorkerReported(cell=cell.id, **where, facts=dict(FINISHED))


def _round(
    live: tuple[Cell, ...], where: Mapping[str, Any], latencies: _Latencies
) -> Iterator[Event]:
    for cell in live:
        if not (host_s := latencies.take(ITERATIONS)):
            break
        yield events.Visited(cell=cell.id, **where, dropped_s=LATENCY_S, host_s=host_s, device_s=())
    yield events.RoundEnded(
        group=live[0].group,
        **where,
        wall_s=len(live) * (1 + ITERATIONS) * LATENCY_S,
        foreign_cpus=0.02,
        voided=bool(latencies.random.random() < VOIDED_SHARE),
    )


def _whole(of: Plan) -> dict[str, list[Wave]]:
    references = of.references
    return {name: [whole(cells, references[name])] for name, cells in of.groups.items()}


def _split(wave: Wave) -> tuple[Wave, ...]:
    """The wave in two, the second that of the cells which memory has no room for."""
    return wave.without(wave.cells[AT_ONCE:])


def _told(group: str, waves: list[Wave]) -> Event:
    return events.Split(
        group=group,
        waves=tuple(tuple(cell.id for cell in wave.own) for wave in waves),
        reason=f"{group}: memory held no more workers at a time.",
    )
