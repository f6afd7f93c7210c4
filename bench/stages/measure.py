"""Measurement of stages: sets of all networks, with the waves, the rounds and the rules of a run.

Imports no torch.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from bench.cells.cell import Cell
from bench.cells.plan import Plan
from bench.engine.hosts.local import LocalHost
from bench.engine.local.measurement import VisitTask
from bench.engine.local.visit_policy import BLOCKS, VisitPolicy
from bench.engine.progress import Progress
from bench.engine.run import Run
from bench.engine.stopping_rule import PlannedSets
from bench.errors import RequestError
from bench.launch import timeouts
from bench.launch.launchers import Launcher
from bench.launch.process import WorkerError, WorkerProcess
from bench.machine.load import LoadMeter
from bench.machine.run_cards import Cards
from bench.records import events
from bench.records.record import CellRecord, RunRecord
from bench.records.reported import ArchCost
from bench.stages import figures
from bench.stages.figures import Macs, NetworkFigures, Provenance, SetFigures, StageVisit
from bench.stages.protocol import CountStages, TimeStages
from bench.units import counted
from bench.worker.protocol import Measured

ROUNDS = 5  # per set; sets are few, so the median of each must be stable
ENDED = {
    "interrupted": "the run was interrupted",
    "stopped_early": "every round of a set was voided",
}
PASSES = 3  # forward passes per iteration: without hooks, with hooks on stages, on branches


@dataclass(frozen=True, slots=True, kw_only=True)
class StagesRun:
    """What was measured, and what was not."""

    networks: tuple[NetworkFigures, ...]
    errors: tuple[str, ...]
    """Sentences on networks and sets without figures; empty if everything was measured."""


class StageTiming:
    """Times the stages in each visit, and keeps their times."""

    def __init__(self) -> None:
        self._visits: dict[tuple[Cell, tuple[int, int, int]], StageVisit] = {}

    def policy(self, _plan: Plan, _device: str) -> VisitPolicy:
        """Return the policy of long visits, because rounds are few."""
        return replace(BLOCKS, passes=PASSES)

    def visit(self, worker: WorkerProcess, task: VisitTask) -> Measured:
        """Time the stages of a network; return the forward passes without hooks."""
        dropped = task.dropped
        request = TimeStages(iterations=dropped + task.timed, seed=task.seed)
        reply = worker.request(request, limit_s=task.limit_s)
        visit = StageVisit(
            whole_s=reply.whole_s[dropped:],
            hooked_s=reply.hooked_s[dropped:],
            pair_s=reply.pair_s,
            parts_s={(part.stage, part.branch): part.seconds[dropped:] for part in reply.parts},
        )
        self._visits[task.cell, task.key] = visit
        return Measured(
            dropped_s=reply.whole_s[:dropped],
            host_s=visit.whole_s,
            device_s=(),
            disturbed_s=None,
            back_to_back=None,
        )

    def sets(self, record: CellRecord) -> tuple[SetFigures, ...]:
        """Return the figures of each set of a cell that has valid visits."""
        valid: dict[int, list[StageVisit]] = {}
        for visit in record.visits:
            if not visit.voided:
                valid.setdefault(visit.set_index, []).append(self._visits[record.cell, visit.key])
        return tuple(map(figures.summarize, valid.values()))


def measure(
    plan: Plan,
    launcher: Launcher,
    progress: Progress,
    *,
    cards: Cards | None = None,
    meter: LoadMeter | None = None,
) -> StagesRun:
    """Measure the stages of a plan's networks; its cells differ only in their archs.

    ``launcher`` starts workers of bench/stages/worker.py. The run voids rounds, and ends, like any
    other; the plan says how many sets and rounds it has. ``cards`` are those of the plan. Raises
    ``RequestError`` with the reason if a network cannot be counted, ``WorkerError`` if no worker
    can be started, and ``KeyboardInterrupt`` if nothing was measured before an interrupt.
    """
    progress.phase("counting", len(plan.cells))
    macs = _count(plan, launcher, progress)
    measured_at = datetime.now(UTC).isoformat(timespec="seconds")
    timing = StageTiming()
    host = LocalHost(plan, launcher, progress, cards=cards, meter=meter, measurement=timing)
    counted_archs = [
        events.Counted(arch=cell.arch, cost=ArchCost(macs_per_image=macs[cell].whole))
        for cell in plan.cells
    ]
    outcome = Run(plan, host, progress, rule=PlannedSets(), known=counted_archs).measure()
    return _figures_of(plan, outcome.run_record(), timing, macs, measured_at)


def _figures_of(
    plan: Plan,
    run: RunRecord,
    timing: StageTiming,
    macs: Mapping[Cell, Macs],
    measured_at: str,
) -> StagesRun:
    """Return the figures of each network that has some, and why others and sets have none."""
    provenance = Provenance(
        device_name=run.environment.device_name or "",
        torch=run.environment.torch or "",
        measured_at=measured_at,
    )
    networks, errors = list[NetworkFigures](), list[str]()
    for record in run.cells:
        network = NetworkFigures(
            cell=record.cell,
            provenance=provenance,
            macs=macs[record.cell],
            sets=timing.sets(record),
        )
        if reason := _why_not(record, network):
            errors.append(f"{_named(plan, record.cell)}: {reason}")
        else:
            networks.append(network)
    if why := ENDED.get(run.status):
        sets = max((len(network.sets) for network in networks), default=0)
        errors.append(f"{why}; the figures are from {sets} of {counted(plan.sets, 'set')}")
    return StagesRun(networks=tuple(networks), errors=tuple(errors))


def _count(plan: Plan, launcher: Launcher, progress: Progress) -> Mapping[Cell, Macs]:
    """Count every network in a separate process, because tracing leaves much behind."""
    macs: dict[Cell, Macs] = {}
    worker = launcher.launch()
    try:
        for cell in plan.cells:
            count = CountStages(
                arch=cell.arch,
                image_size=plan.image_size,
                input_shape=plan.input_shape,
                seed=plan.seed,
            )
            try:
                reply = worker.request(count, limit_s=timeouts.SHORT_S)
            except WorkerError as error:
                reason = _reason(error.kind, str(error), error.stderr)
                raise RequestError(f"{_named(plan, cell)}: {reason}") from error
            parts = {(part.stage, part.branch): part.macs for part in reply.parts}
            macs[cell] = Macs(whole=reply.whole, parts=parts, image_size=reply.image_size)
            progress.advance(cell.arch)
    finally:
        worker.kill()
    return macs


def _why_not(record: CellRecord, network: NetworkFigures) -> str:
    """Return why a network has no figures; empty if it has."""
    if failure := record.failure:
        return f"{failure.phase}: {_reason(failure.kind, failure.message, failure.stderr)}"
    if not network.sets:
        return "no round of it is valid"
    timed = {key for of_set in network.sets for key in of_set.parts_s}
    not_called = [
        stage
        for (stage, branch), count in network.macs.parts.items()
        if count and not branch and (stage, branch) not in timed
    ]
    if timed and not not_called:
        return ""
    return (
        f"{record.cell.mode} does not call {', '.join(not_called) or 'any of its children'} as a "
        "module, so the time of its stages cannot be measured"
    )


def _reason(kind: str, message: str, stderr: str) -> str:
    """Return why a worker failed; with its last words, if it ended without a message."""
    last_line = next(reversed(stderr.splitlines()), "") if kind in {"died", "timeout"} else ""
    return f"{message}; {last_line}".rstrip("; ")


def _named(plan: Plan, cell: Cell) -> str:
    """Return the name of a network, with the image size if the request has one."""
    return f"{cell.arch} at {plan.image_size}×{plan.image_size}" if plan.image_size else cell.arch
