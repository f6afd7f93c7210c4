"""The state of a tournament, and its steps: each measures what is left, and drops what is slow."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from bench import signals
from bench.api import measuring, planning
from bench.api.measure_request import MeasureRequest
from bench.best import decision, narrowing, program
from bench.best.candidate import Candidate, remaining
from bench.best.decision import Result
from bench.best.narrowing import Step
from bench.cells import modes, plan_values
from bench.cells.cell import Cell
from bench.cells.plan import Plan
from bench.engine.progress import Progress
from bench.records import events
from bench.records.record import RunRecord
from bench.stats import ANY_PRECISION
from bench.units import counted

EXPLORING_SHARE = 0.5  # of the budget, before the final run
ENDING_S = 3.0  # to check the answers again and to end the workers; not in a run's budget


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
class State:
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


def narrow(state: State, step: Step) -> bool:
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


def _cut_short(state: State) -> bool:
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


def final(state: State) -> Tournament:
    """Measure the finalists in an ordinary run, if there is time left, and return the result."""
    if not remaining(state.candidates):
        return ended(state, is_final=True)
    left_s = state.left_s(1.0)
    if left_s is not None and left_s <= 0:
        state.notes.append(f"--budget {state.budget_s:g} was over before the final run.")
        return ended(state, is_final=False)
    plan = _plan_of(state)
    if left_s is not None:
        plan = replace(plan, extra_s=left_s)
    run = _run(state, plan, 1.0)
    if run.status == "interrupted" or run.why_ended:
        return stopped(state)
    if run.status == "over_budget":
        state.notes.append(
            f"--budget {state.budget_s:g} ended the final run: what was finished decides."
        )
    return ended(state, is_final=state.run is run)


def _plan_of(state: State) -> Plan:
    """Return the plan of the references and of the candidates that are left."""
    left = [each.cell for each in remaining(state.candidates)]
    return replace(
        state.plan,
        cells=tuple(sorted(left, key=lambda cell: (cell.batch_size, cell not in state.references))),
        reference_arch=left[0].arch,
        reference_mode=modes.DEFAULT,
    )


def _run(state: State, plan: Plan, share: float) -> RunRecord:
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


def stopped(state: State) -> Tournament:
    """Return the result after a run that is not complete, with its own sentence on that if any."""
    if state.last is None or not state.last.why_ended:
        return interrupted(state)
    state.notes.append(state.last.why_ended)
    return ended(state, is_final=False)


def interrupted(state: State) -> Tournament:
    """Return the result after an interrupt in this step."""
    state.notes.append(f"Interrupted in step {state.step}: the result is what was measured so far.")
    return replace(ended(state, is_final=False), is_interrupted=True)


def ended(state: State, *, is_final: bool) -> Tournament:
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
