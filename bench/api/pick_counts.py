"""What a choice knows before it times a network: counts of the candidates, and the peak rates."""

import uuid
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

from bench.api import code, measuring
from bench.api.measure_request import MeasureRequest
from bench.api.step_journals import StepJournals
from bench.cells.plan import Plan
from bench.engine.local.probe_worker import ProbeWorker
from bench.engine.progress import Progress
from bench.launch.process import WorkerError
from bench.machine.environment import Environment
from bench.pick import filters
from bench.records import events
from bench.records.code import Code, check_same_code
from bench.records.outcome import Outcome
from bench.records.reported import ArchCost, Ceiling
from bench.records.resuming import check_same, check_same_environment

STEP = filters.STEP


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Counts and peak rates; complete only if no arch failed."""

    costs: dict[str, ArchCost] = field(default_factory=dict)
    """By arch."""
    ceilings: dict[str, Ceiling] = field(default_factory=dict)
    """By dtype."""
    failed: dict[str, str] = field(default_factory=dict)
    """Why an arch cannot be built, by arch."""

    def events_of(self, plan: Plan) -> tuple[events.Counted | events.CeilingMeasured, ...]:
        """Return what is known of the cells of a plan, as events of a run."""
        archs, dtypes = ({getattr(cell, name) for cell in plan.cells} for name in ("arch", "dtype"))
        costs = (events.Counted(arch=a, cost=cost) for a, cost in self.costs.items() if a in archs)
        ceilings = (
            events.CeilingMeasured(dtype=dtype, facts=facts)
            for dtype, facts in self.ceilings.items()
            if dtype in dtypes
        )
        return (*costs, *ceilings)


def count(
    request: MeasureRequest,
    plan: Plan,
    progress: Progress,
    journals: StepJournals,
    exits: ExitStack,
) -> Counts:
    """Count the archs of a plan and measure the peak rates of its dtypes.

    What an interrupted choice knows is read from its journal. The journal stays open, and so locked
    against other choices, until ``exits`` are closed. Raises ``RequestError`` if the choice cannot
    be resumed with this plan, code or environment, and ``WorkerError`` if no worker can be started.
    """
    archs = list(dict.fromkeys(cell.arch for cell in plan.cells))
    dtypes = list(dict.fromkeys(cell.dtype for cell in plan.cells))
    begun, now = journals.read(STEP, progress), code.current(plan)
    if begun is not None:
        check_same(plan, begun.plan)
        check_same_code(now, begun.code)
    counts = _read(begun)
    progress.phase("step 1: counting", len(archs) + len(dtypes))
    with measuring.start_launcher(plan) as started, ProbeWorker(started, plan) as probe:
        environment = probe.describe()
        if begun is not None:
            check_same_environment(environment, begun.environment)
        began = None if begun else _began(plan, environment, now)
        store = _journal(request, progress, journals, environment, began, exits)
        _count_archs(archs, counts, probe, store, progress)
        if len(counts.failed) < len(archs):
            started.wait()
            _measure_ceilings(dtypes, counts, probe, store, progress)
    return counts


def _count_archs(
    archs: Sequence[str],
    counts: Counts,
    probe: ProbeWorker,
    store: Callable[[events.Event], None],
    progress: Progress,
) -> None:
    """Count the archs that are not known yet, and note why others cannot be built."""
    for arch in archs:
        if arch not in counts.costs:
            try:
                cost = counts.costs[arch] = probe.count(arch)
                store(events.Counted(arch=arch, cost=cost))
            except WorkerError as error:
                if error.kind != "request":
                    raise
                counts.failed[arch] = str(error)
        progress.advance(arch)


def _measure_ceilings(
    dtypes: Sequence[str],
    counts: Counts,
    probe: ProbeWorker,
    store: Callable[[events.Event], None],
    progress: Progress,
) -> None:
    """Measure the peak rates of the dtypes whose rates are not known yet."""
    for dtype in dtypes:
        if dtype not in counts.ceilings:
            facts = counts.ceilings[dtype] = probe.measure_ceiling(dtype)
            measured = events.CeilingMeasured(dtype=dtype, facts=facts)
            store(measured)
            if measured.caveat:
                progress.note(measured.caveat)
        progress.advance(f"peak rate in {dtype}")


def _read(begun: Outcome | None) -> Counts:
    if begun is None:
        return Counts()
    costs = {arch: cost for (arch, _), cost in begun.costs.items()}
    return Counts(costs=costs, ceilings=dict(begun.ceilings))


def _began(plan: Plan, environment: Environment, now: Code) -> events.Began:
    return events.Began(
        schema_version=events.JOURNAL_VERSION,
        plan=plan,
        environment=environment,
        code=now,
        run_id=uuid.uuid4().hex,
    )


def _journal(
    request: MeasureRequest,
    progress: Progress,
    journals: StepJournals,
    environment: Environment,
    began: events.Began | None,
    exits: ExitStack,
) -> Callable[[events.Event], None]:
    """Open the journal of step 1, if there is one, and return the function that adds an event."""
    folder = journals.folder(STEP)
    if folder is None:
        return lambda _: None
    opened = exits.enter_context(measuring.open_journal(request, environment, progress, folder))
    if began is not None:
        opened.append(began)
    return opened.append
