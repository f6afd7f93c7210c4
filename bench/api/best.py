"""The fastest way to run a network: a tournament of modes and dtypes.

Every step is a run of the suite's engine (``measuring.measure_here``) with a plan of its own. In
each, all candidates of a batch size, of whatever dtype, are one group, and the reference is the
network in eager and fp32. The last step is an ordinary run of the finalists, and it alone decides.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from bench import signals
from bench.api import measuring, planning
from bench.api.best_request import SETS, BestRequest
from bench.api.measure_request import MeasureRequest
from bench.api.planning import Defaults
from bench.api.profiles import PROFILES
from bench.best import combinations, decision, narrowing, program
from bench.best.candidate import Candidate, remaining
from bench.best.combinations import FP32
from bench.best.decision import Result
from bench.best.narrowing import Step
from bench.cells import modes, plan_values
from bench.cells.cell import Cell
from bench.cells.plan import Plan
from bench.engine.progress import Progress
from bench.errors import RequestError
from bench.executors import OPTIONS
from bench.launch.process import WorkerError
from bench.records import events
from bench.records.record import RunRecord
from bench.stats import ANY_PRECISION
from bench.units import counted

DEFAULTS = Defaults(
    profile="best",
    archs=(),
    modes=(modes.DEFAULT,),
    batch_sizes=(1,),
    sets=SETS,
    extra_s=PROFILES["quick"].extra_s,
)
EXPLORING_SHARE = 0.5  # of the budget, before the final run
ENDING_S = 3.0  # to check the answers again and to end the workers; not in a run's budget
TRYING_OUT_S = 60.0  # least time for a mode that tries kernels out, which takes minutes


@dataclass(frozen=True, slots=True, kw_only=True)
class Tournament:
    """The result of a tournament, and the run that its figures are from."""

    result: Result
    run: RunRecord | None
    """The final run, or the last one that was measured; None if nothing was."""
    programs: Mapping[int, str] = field(default_factory=lambda: MappingProxyType({}))
    """The program that runs the network as the winner does, by batch size."""
    is_interrupted: bool = False


@dataclass(slots=True, kw_only=True)
class _State:
    """The candidates and what is known, from step to step."""

    request: MeasureRequest
    plan: Plan
    progress: Progress
    max_error: float | None
    dtypes: tuple[str, ...]
    references: tuple[Cell, ...]
    """Eager in fp32, at each batch size."""
    start_s: float
    budget_s: float | None
    now: Callable[[], float]
    notes: list[str]
    candidates: list[Candidate] = field(default_factory=list)
    known: list[events.Counted] = field(default_factory=list)
    run: RunRecord | None = None
    """The last run with figures or failures."""
    last: RunRecord | None = None
    step: int = 0
    is_cut_short: bool = False
    """Whether the time before the final run is over."""

    def left_s(self, share: float) -> float | None:
        """Return the time that is left of a share of the budget; None without a budget."""
        if self.budget_s is None:
            return None
        return self.start_s + share * self.budget_s - self.now() - ENDING_S

    def add(self, cells: Iterator[Cell] | tuple[Cell, ...]) -> bool:
        """Add candidates that are not there yet; return whether one of them can be measured."""
        present = {each.cell for each in self.candidates}
        added = []
        for cell in dict.fromkeys(cells):
            if cell in present:
                continue
            why = plan_values.missing(cell)
            candidate = Candidate(cell=cell)
            added.append(candidate.drop(0, why) if why else candidate)
        self.candidates += added
        return bool(remaining(added))

    def finalists(self) -> list[Candidate]:
        """Return the fastest candidates of each batch size."""
        sizes = (cell.batch_size for cell in self.references)
        return [each for size in sizes for each in narrowing.fastest(self.candidates, size)]


def best(
    arch: str,
    request: BestRequest,
    shared: MeasureRequest,
    progress: Progress,
    *,
    command: str = "",
    now: Callable[[], float] = time.monotonic,
) -> Tournament:
    """Find the fastest way to run a network; ``command`` is what repeats the tournament.

    After an interrupt, the result is what was measured. Raises ``RequestError`` if the request is
    invalid, ``WorkerError`` if no worker can be started, and ``KeyboardInterrupt`` if the interrupt
    came before anything was measured.
    """
    measured = request.measured(arch, shared)
    plan = planning.make_plan(measured, DEFAULTS, command=command)
    if len({cell.arch for cell in plan.cells}) > 1:
        raise RequestError(f"best takes one network, and {arch!r} stands for several")
    dtypes = request.competing_dtypes()
    eager = (replace(cell, dtype=FP32, across_dtypes=len(dtypes) > 1) for cell in plan.cells)
    state = _State(
        request=measured,
        plan=plan,
        progress=progress,
        max_error=request.max_error,
        dtypes=dtypes,
        references=tuple(dict.fromkeys(eager)),
        start_s=now(),
        budget_s=request.budget,
        now=now,
        notes=[*filter(None, [request.note_on_dtypes()])],
    )
    chosen = request.checked_modes(plan.cells[0].device)
    state.add(state.references)
    try:
        return _hold(state, chosen)
    except KeyboardInterrupt:
        if state.run is None:
            raise
        return _interrupted(state)
    except WorkerError as error:
        if state.run is None:
            raise
        state.notes.append(f"No worker could be started in step {state.step}: {error}.")
        return _ended(state, is_final=False)


def _hold(state: _State, chosen: tuple[str, ...] | None) -> Tournament:
    explored = _explore(state) if chosen is None else _measure_chosen(state, chosen)
    most = len(state.references) * (narrowing.FINALISTS + 1)
    is_close = len(remaining(state.candidates)) > most and not state.is_cut_short
    if not explored or (is_close and not _narrow(state, narrowing.HALVING)):
        return _stopped(state)
    state.candidates = narrowing.not_among(state.candidates, state.finalists(), state.step)
    return _final(state)


def _measure_chosen(state: _State, chosen: tuple[str, ...]) -> bool:
    """Measure the modes that the user named; return False if that was stopped."""
    cells = (
        replace(reference, mode=mode, dtype=dtype)
        for reference in state.references
        for mode in chosen
        for dtype in state.dtypes
    )
    state.add(tuple(each for each in cells if combinations.is_possible(each)))
    return _narrow(state, narrowing.EXPLORING)


def _explore(state: _State) -> bool:
    """Measure single changes of eager, and then combinations; return False if that was stopped."""
    names = combinations.tokens(state.references[0].device)
    slow = [name for name in names if combinations.tries_kernels_out(name)]
    quick = [name for name in names if name not in slow]
    for reference in state.references:
        state.add(combinations.neighbours(reference, quick, state.dtypes))
    if not _narrow(state, narrowing.EXPLORING):
        return False
    while not state.is_cut_short and _add_combinations(state, quick):
        before = {each.cell for each in state.finalists()}
        if not _narrow(state, narrowing.EXPLORING):
            return False
        if {each.cell for each in state.finalists()} <= before:
            break
    return _try_out(state, slow)


def _add_combinations(state: _State, names: list[str]) -> bool:
    """Add to each of the fastest one more change that does not slow eager down."""
    if not remaining(state.candidates):
        return False
    cells = []
    for each in state.finalists():
        helping = _helping(state, each.cell.batch_size)
        possible = combinations.neighbours(each.cell, names, state.dtypes)
        # An option is no candidate of its own, so nothing is known of it alone.
        cells += [
            cell for cell in possible if combinations.changes(cell) - OPTIONS.keys() <= helping
        ]
    return state.add(tuple(cells))


def _helping(state: _State, batch_size: int) -> frozenset[str]:
    """Return the changes that are not shown to slow eager down, alone, at a batch size."""
    return frozenset(
        name
        for each in state.candidates
        if each.cell.batch_size == batch_size
        and each.tokens == 1
        and each.estimate * narrowing.EXPLORING.margin >= 1
        and not narrowing.is_inexact(each, state.max_error)
        for name in combinations.changes(each.cell)
    )


def _try_out(state: _State, names: list[str]) -> bool:
    """Measure the modes that try kernels out, alone and with the rewrites of the fastest."""
    cells = []
    for reference in state.references:
        for leader in narrowing.fastest(state.candidates, reference.batch_size)[:1]:
            rewrites = [each.name for each in modes.parse(leader.cell.mode).rewrites]
            for name in names:
                mode = modes.canonical("+".join([name, *rewrites]))
                cells += [replace(reference, mode=name), replace(leader.cell, mode=mode)]
    if not state.add(tuple(each for each in cells if combinations.is_possible(each))):
        return True
    left_s = state.left_s(EXPLORING_SHARE)
    if left_s is not None and left_s < TRYING_OUT_S:
        why = (
            "not measured: it tries kernels out, which takes minutes, and too little of --budget "
            "was left"
        )
        state.candidates = narrowing.unmeasured(state.candidates, 0, why)
        return True
    return _narrow(state, narrowing.EXPLORING)


def _narrow(state: _State, step: Step) -> bool:
    """Measure all that are left, and drop those that failed or are slow.

    Returns False if it was stopped: by an interrupt, or because the machine is busy.
    """
    left_s = state.left_s(EXPLORING_SHARE)
    if left_s is not None and left_s <= 0:
        return _cut_short(state)
    run = _run(
        state,
        replace(
            _plan_of(state),
            sets=step.sets,
            rounds=narrowing.ROUNDS,
            precision=ANY_PRECISION,
            extra_s=0.0,
        ),
        EXPLORING_SHARE,
    )
    if run.status == "interrupted" or run.why_ended:
        return False
    if run.status == "over_budget":
        return _cut_short(state)
    why = "not measured: every round was voided"
    state.candidates = narrowing.unmeasured(state.candidates, state.step, why)
    state.candidates = narrowing.slower(state.candidates, step, state.step)
    return True


def _cut_short(state: _State) -> bool:
    """Drop what was not measured, because the time before the final run is over."""
    state.is_cut_short = True
    why = f"not measured: half of --budget {state.budget_s:g} was over"
    state.notes.append(
        f"Half of --budget {state.budget_s:g} was over in step {state.step}: what was finished "
        "decides."
    )
    state.candidates = narrowing.unmeasured(state.candidates, state.step, why)
    state.candidates = narrowing.slower(state.candidates, narrowing.EXPLORING, state.step)
    return True


def _final(state: _State) -> Tournament:
    if not remaining(state.candidates):
        return _ended(state, is_final=True)
    left_s = state.left_s(1.0)
    if left_s is not None and left_s <= 0:
        state.notes.append(f"--budget {state.budget_s:g} was over before the final run.")
        return _ended(state, is_final=False)
    plan = _plan_of(state)
    if left_s is not None:
        plan = replace(plan, extra_s=left_s)
    run = _run(state, plan, 1.0)
    if run.status == "interrupted" or run.why_ended:
        return _stopped(state)
    if run.status == "over_budget":
        state.notes.append(
            f"--budget {state.budget_s:g} ended the final run: what was finished decides."
        )
    return _ended(state, is_final=state.run is run)


def _plan_of(state: _State) -> Plan:
    """Return the plan of the references and of the candidates that are left."""
    left = [each.cell for each in remaining(state.candidates)]
    return replace(
        state.plan,
        cells=tuple(sorted(left, key=lambda cell: (cell.batch_size, cell not in state.references))),
        reference_arch=left[0].arch,
        reference_mode=modes.DEFAULT,
    )


def _run(state: _State, plan: Plan, share: float) -> RunRecord:
    """Measure a plan in the time that is left of a share of the budget; add its figures.

    Interrupts have their usual effect again when it returns: a run ignores them at its end.
    """
    state.step += 1
    candidates = counted(len(plan.cells), "candidate")
    announcement = f"step {state.step}: {candidates}: {planning.estimate(plan)}"
    state.progress.note(announcement)
    with signals.single_interrupt(), measuring.start_launcher(plan) as started:
        started.wait()  # importing PyTorch may take long, and a run's budget begins after it
        plan = replace(plan, budget_s=state.left_s(share))
        run = measuring.measure_here(
            state.request, plan, state.progress, None, started, known=state.known
        )
    state.last = run
    if run.measured or any(record.failure for record in run.cells):
        state.run = run
        cost = run.cells[0].cost
        state.known = [events.Counted(arch=run.cells[0].cell.arch, cost=cost)]
    found = narrowing.measured(state.candidates, run, state.step)
    found = narrowing.inexact(found, state.max_error, state.step)
    state.candidates = narrowing.without_reference(found, state.step)
    return run


def _stopped(state: _State) -> Tournament:
    """Return the result after a run that is not complete, with its own sentence on that if any."""
    if state.last is None or not state.last.why_ended:
        return _interrupted(state)
    state.notes.append(state.last.why_ended)
    return _ended(state, is_final=False)


def _interrupted(state: _State) -> Tournament:
    state.notes.append(f"Interrupted in step {state.step}: the result is what was measured so far.")
    return replace(_ended(state, is_final=False), is_interrupted=True)


def _ended(state: _State, *, is_final: bool) -> Tournament:
    """Return the result of what is known now."""
    result = decision.decide(
        state.candidates, state.run, is_final=is_final, notes=tuple(state.notes)
    )
    return Tournament(
        result=result, run=state.run, programs=dict(_programs(result, state.plan, state.run))
    )


def _programs(result: Result, plan: Plan, run: RunRecord | None) -> Iterator[tuple[int, str]]:
    """Yield the batch size and the program of each winner whose tokens say how they are written."""
    for each in result.decisions:
        if each.winner is None or run is None or program.lacking(each.winner.cell):
            continue
        cell = each.winner.cell
        (record,) = (record for record in run.cells if record.cell == cell)
        on_cpu = cell.device == "cpu"
        if cell.device == plan_values.ALL_DEVICES:
            cell = replace(cell, device="cuda")
        yield (
            cell.batch_size,
            program.lines(
                cell,
                record.setups[-1],
                input_shape=plan.input_shape,
                threads=run.environment.threads if on_cpu else None,
            ),
        )
