"""A synthetic run: a plan of any size, and the events that measuring it would emit.

Latencies are drawn at random. Everything else is like a run on a small machine whose memory holds
``AT_ONCE`` workers, so larger groups are measured in waves.
"""

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.api.profiles import PRECISION
from bench.cells import plan_values
from bench.cells.cell import Cell
from bench.cells.plan import Plan
from bench.cells.waves import Wave, single_wave
from bench.errors import RequestError
from bench.machine.environment import Environment
from bench.records import events
from bench.records.events import Event
from bench.records.reported import ArchCost, Setup
from bench.units import counted

MODES = ("eager", "compile")
SETS = 3
AT_ONCE = 16  # workers of 0.5 GB each in 8 GiB of memory
LATENCY_S, SPREAD = 0.03, 0.05  # median, and standard deviation of the logarithm
ROUNDS = 40  # per set
ITERATIONS = 1  # per visit
VOIDED_SHARE = 0.02  # share of rounds
ENVIRONMENT = Environment(
    torch="2.11.0",
    device="cpu",
    device_name="synthetic",
    physical_cores=2,
    variables={"OMP_NUM_THREADS": "2"},
)
COST = ArchCost(
    params=6_998_552,
    params_with_aux=13_385_816,
    macs_per_image=1_582_671_872,
    fvcore_total_per_image=1_589_174_368,
)
PREPARED = Setup(
    build_s=0.5,
    first_call_s=4.0,
    compile_cached=True,
    graphs=1,
    graph_breaks=0,
    weights_bytes=27_994_208,
    output_error=3e-6,
    error_bound=1e-3,
    tf32_convolutions=False,
    tf32_products=False,
    gradient_error=None,
    resident_before_bytes=476_135_424,
    host_bytes=134_217_728,
)
WARMED_UP = Setup(warm_up_iterations=6, warm_up_s=0.18)
FINISHED = Setup(
    peak_resident_bytes=610_734_080,
    peak_memory_bytes=100_663_296,
    recompiled_graphs=0,
    late_graph_breaks=0,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """The size of a run."""

    cells: int
    groups: int
    samples: int
    """Samples of all cells and controls together, including those of voided rounds."""


def never_built(index: int) -> None:
    """Stand for a network: with its index, the name of as many archs as are needed."""
    raise NotImplementedError(f"network {index} is only a name")


def plan_of(size: Size) -> Plan:
    """Return a plan of the given size: a batch size for each group, archs in two modes in each.

    Raises ``RequestError`` if the cells do not divide into such groups.
    """
    archs = size.cells // (len(MODES) * size.groups)
    cells = plan_values.cells(
        arch_names=[f"{__name__}:never_built?index={index}" for index in range(archs)],
        mode_names=MODES,
        dtype_names=("fp32",),
        batch_sizes=range(1, size.groups + 1),
        task_names=("infer",),
        device="cpu",
    )
    if len(cells) != size.cells:
        raise RequestError(
            f"{counted(size.cells, 'cell')} cannot be divided into "
            f"{counted(size.groups, 'group')} in which every arch has "
            f"the modes {' and '.join(MODES)}"
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


def waves_of(run_plan: Plan) -> dict[str, list[Wave]]:
    """Return the final waves of each group; the last is split while it has too many cells."""
    waves_by_group = _unsplit_waves(run_plan)
    for waves in waves_by_group.values():
        while len(waves[-1].needed(waves[-1].cells)) <= AT_ONCE < len(waves[-1].cells):
            waves += _split(waves.pop())
    return waves_by_group


def sets(run_plan: Plan, samples: int) -> Iterator[Iterator[Event]]:
    """Yield the events before the first set, and then those of each set.

    Sets follow until the run has ``samples`` samples.
    """
    latencies = _Latencies(samples, run_plan.seed)
    waves = _unsplit_waves(run_plan)
    yield _beginning(run_plan)
    for set_index in itertools.count():
        if not latencies.left:
            return
        yield _set(waves, set_index, latencies)


class _Latencies:
    """A limited number of random latencies."""

    def __init__(self, count: int, seed: int) -> None:
        self.left = count
        self.random = np.random.default_rng(seed)

    def take(self, count: int) -> tuple[float, ...]:
        """Return the next ``count`` latencies, in seconds; fewer if not so many are left."""
        taken = min(count, self.left)
        self.left -= taken
        return tuple(self.random.lognormal(math.log(LATENCY_S), SPREAD, taken).tolist())


def _beginning(run_plan: Plan) -> Iterator[Event]:
    yield events.Began(
        schema_version=events.JOURNAL_VERSION, plan=run_plan, environment=ENVIRONMENT
    )
    yield events.PhaseTimed(phase="importing", seconds=5.0)
    for arch in dict.fromkeys(cell.arch for cell in run_plan.cells):
        yield events.Counted(arch=arch, cost=COST)
    for cell in run_plan.cells:
        if cell.mode == "compile":
            yield events.Compiled(cell=cell.id, seconds=30.0)


def _set(waves: Mapping[str, list[Wave]], set_index: int, latencies: _Latencies) -> Iterator[Event]:
    for group, group_waves in waves.items():
        for wave_index in itertools.count():
            if wave_index == len(group_waves) or not latencies.left:
                break
            indices = {"set_index": set_index, "wave_index": wave_index}
            yield events.WaveBegan(group, indices["set_index"], indices["wave_index"])
            yield from _wave(group_waves[wave_index].cells[:AT_ONCE], indices, latencies)
            if len(group_waves[wave_index].cells) > AT_ONCE:
                group_waves[wave_index:] = _split(group_waves[wave_index])
                yield _split_event(group, group_waves)
            yield events.WaveEnded(group, **indices)


def _wave(
    live: tuple[Cell, ...], indices: Mapping[str, int], latencies: _Latencies
) -> Iterator[Event]:
    for facts in (PREPARED, WARMED_UP):
        for cell in live:
            yield events.WorkerReported(cell=cell.id, **indices, facts=facts)
    for round_index in range(ROUNDS):
        if latencies.left:
            yield from _round(live, {**indices, "round_index": round_index}, latencies)
    for cell in live:
        yield events.WorkerReported(cell=cell.id, **indices, facts=FINISHED)


def _round(
    live: tuple[Cell, ...], indices: Mapping[str, Any], latencies: _Latencies
) -> Iterator[Event]:
    for cell in live:
        if not (host_s := latencies.take(ITERATIONS)):
            break
        yield events.Visited(
            cell=cell.id, **indices, dropped_s=LATENCY_S, host_s=host_s, device_s=()
        )
    yield events.RoundEnded(
        group=live[0].group,
        **indices,
        wall_s=len(live) * (1 + ITERATIONS) * LATENCY_S,
        foreign_cpus=0.02,
        voided=bool(latencies.random.random() < VOIDED_SHARE),
    )


def _unsplit_waves(run_plan: Plan) -> dict[str, list[Wave]]:
    references = run_plan.references
    return {name: [single_wave(cells, references[name])] for name, cells in run_plan.groups.items()}


def _split(wave: Wave) -> tuple[Wave, ...]:
    """Return the wave in two; the second has the cells for which there is no memory."""
    return wave.split(wave.cells[AT_ONCE:])


def _split_event(group: str, waves: list[Wave]) -> Event:
    return events.Split(
        group=group,
        waves=tuple(tuple(cell.id for cell in wave.own) for wave in waves),
        reason=f"{group}: memory does not hold more workers at once.",
    )
