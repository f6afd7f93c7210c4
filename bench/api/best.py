"""The fastest way to run a network: a tournament of modes and dtypes.

Every step is a run of the suite's engine (``measuring.measure_here``) with a plan of its own. In
each, all candidates of a batch size, of whatever dtype, are one group, and the reference is the
network in eager and fp32. The last step is an ordinary run of the finalists, and it alone decides.
"""

import time
from collections.abc import Callable
from dataclasses import replace

from bench.api import planning, tournament
from bench.api.best_request import SETS, BestRequest
from bench.api.measure_request import MeasureRequest
from bench.api.planning import Defaults
from bench.api.profiles import PROFILES
from bench.api.tournament import EXPLORING_SHARE, State, Tournament
from bench.best import combinations, narrowing
from bench.best.candidate import remaining
from bench.best.combinations import FP32
from bench.cells import modes
from bench.engine.progress import Progress
from bench.errors import RequestError
from bench.executors import OPTIONS
from bench.launch.process import WorkerError

DEFAULTS = Defaults(
    profile="best",
    archs=(),
    modes=(modes.DEFAULT,),
    batch_sizes=(1,),
    sets=SETS,
    extra_s=PROFILES["quick"].extra_s,
)
TRYING_OUT_S = 60.0  # least time for a mode that tries kernels out, which takes minutes


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
    state = State(
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
        return tournament.interrupted(state)
    except WorkerError as error:
        if state.run is None:
            raise
        state.notes.append(f"No worker could be started in step {state.step}: {error}.")
        return tournament.ended(state, is_final=False)


def _hold(state: State, chosen: tuple[str, ...] | None) -> Tournament:
    explored = _explore(state) if chosen is None else _measure_chosen(state, chosen)
    most = len(state.references) * (narrowing.FINALISTS + 1)
    is_close = len(remaining(state.candidates)) > most and not state.is_cut_short
    if not explored or (is_close and not tournament.narrow(state, narrowing.HALVING)):
        return tournament.stopped(state)
    state.candidates = narrowing.not_among(state.candidates, state.finalists(), state.step)
    return tournament.final(state)


def _measure_chosen(state: State, chosen: tuple[str, ...]) -> bool:
    """Measure the modes that the user named; return False if that was stopped."""
    cells = (
        replace(reference, mode=mode, dtype=dtype)
        for reference in state.references
        for mode in chosen
        for dtype in state.dtypes
    )
    state.add(tuple(each for each in cells if combinations.is_possible(each)))
    return tournament.narrow(state, narrowing.EXPLORING)


def _explore(state: State) -> bool:
    """Measure single changes of eager, and then combinations; return False if that was stopped."""
    names = combinations.tokens(state.references[0].device)
    slow = [name for name in names if combinations.tries_kernels_out(name)]
    quick = [name for name in names if name not in slow]
    for reference in state.references:
        state.add(combinations.neighbours(reference, quick, state.dtypes))
    if not tournament.narrow(state, narrowing.EXPLORING):
        return False
    while not state.is_cut_short and _add_combinations(state, quick):
        before = {each.cell for each in state.finalists()}
        if not tournament.narrow(state, narrowing.EXPLORING):
            return False
        if {each.cell for each in state.finalists()} <= before:
            break
    return _try_out(state, slow)


def _add_combinations(state: State, names: list[str]) -> bool:
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


def _helping(state: State, batch_size: int) -> frozenset[str]:
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


def _try_out(state: State, names: list[str]) -> bool:
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
    return tournament.narrow(state, narrowing.EXPLORING)
