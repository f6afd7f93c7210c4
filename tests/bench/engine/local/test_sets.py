"""What happens to a wave if its workers run out of memory. The tests start no worker."""

from collections.abc import Collection
from types import SimpleNamespace
from typing import Any

import pytest

from bench.cells import waves
from bench.cells.cell import Cell
from bench.cells.waves import Wave
from bench.engine.local import rounds_per_set
from bench.engine.local.context import Context
from bench.engine.local.sets import LocalSet
from bench.engine.tasks import SetTask
from bench.machine.memory_budget import MemoryBudget
from bench.records import events
from bench.records.outcome import Outcome
from tests.bench import runs
from tests.bench.engine.running import Quiet, Watcher, plan

REFERENCE, OTHER = (runs.cell(arch) for arch in ("a", "b"))
PARTNER, COMPILED, THIRD = (runs.cell(arch, "compile") for arch in ("a", "b", "c"))
CONTROL = waves.control(REFERENCE)
GROUP = (REFERENCE, OTHER, PARTNER, COMPILED, THIRD)


def local_set(*own: Cell, against_base: bool = False, rounds: int | None = None) -> LocalSet:
    """Return a set of one wave, in a group in which other waves own the other cells."""
    wave = Wave(own=own, group=GROUP, reference=REFERENCE, against_base=against_base)
    context = Context(
        plan=plan(*GROUP),
        launcher=SimpleNamespace(importing_share=1.0),  # type: ignore[arg-type]
        progress=Watcher(),
        meter=Quiet(),
        memory_budget=MemoryBudget(),
    )
    task = SetTask(group=REFERENCE.group, set_index=0, cells=GROUP, waves=(wave,), rounds=rounds)
    return LocalSet(context, task, host="", importing_s=1.0)


def live_wave(
    ran_out: Collection[Cell] = (), *, deferred: Collection[Cell] = (), **facts: Any
) -> Any:
    """Return what a set asks of a live wave, of which these cells ran out of memory."""
    failures = dict.fromkeys(ran_out, runs.FAILURE)
    return SimpleNamespace(deferred=[*deferred], out_of_memory=failures, **facts)


@pytest.mark.parametrize(
    ("own", "ran_out", "parts", "again"),
    [
        # What ran out is measured apart, and the rest has its figures.
        ((OTHER, COMPILED), [COMPILED], [(OTHER,), (COMPILED,)], False),
        ((OTHER, COMPILED, THIRD), [OTHER, THIRD], [(COMPILED,), (OTHER, THIRD)], False),
        # A cell whose base ran out has figures, which would be a second time in its new wave.
        ((OTHER, COMPILED), [waves.base(COMPILED)], [(OTHER,), (COMPILED,)], True),
        # Every cell ran out: the first part has no figures yet.
        ((OTHER, COMPILED), [OTHER, COMPILED], [(OTHER,), (COMPILED,)], True),
        # What every part needs ran out, so no figure has its comparison.
        ((OTHER, COMPILED), [REFERENCE], [(OTHER,), (COMPILED,)], True),
        ((OTHER, COMPILED), [CONTROL], [(OTHER,), (COMPILED,)], True),
        ((OTHER, COMPILED), [REFERENCE, COMPILED], [(OTHER,), (COMPILED,)], True),
        ((OTHER, COMPILED), [waves.base(REFERENCE)], [(OTHER,), (COMPILED,)], True),
        # A cell of another wave ran out: nothing tells which cells fit, so each part has half.
        ((OTHER, COMPILED), [PARTNER], [(OTHER,), (COMPILED,)], True),
    ],
)
def test_a_wave_is_measured_again_if_a_part_of_it_has_no_figures_or_would_have_them_twice(
    own: tuple[Cell, ...], ran_out: list[Cell], parts: list[tuple[Cell, ...]], again: bool
) -> None:
    measured = local_set(*own, against_base=any(cell.base for cell in ran_out))
    assert measured._split_if_needed(0, live_wave(ran_out)) is again
    assert [wave.own for wave in measured._waves] == parts
    assert not measured._context.failed


@pytest.mark.parametrize(
    ("deferred", "ran_out", "parts", "again"),
    [
        ([THIRD], [], [(OTHER, COMPILED), (THIRD,)], False),
        ([COMPILED, THIRD], [], [(OTHER,), (COMPILED, THIRD)], False),
        ([waves.base(THIRD), THIRD], [], [(OTHER, COMPILED), (THIRD,)], False),
        # A cell of another wave: each part has half of the cells, and the second half has figures.
        ([PARTNER], [], [(OTHER, COMPILED), (THIRD,)], True),
        # What memory did not hold at all, and what ran out, are measured together.
        ([THIRD], [COMPILED], [(OTHER,), (COMPILED, THIRD)], False),
        ([THIRD], [waves.base(COMPILED)], [(OTHER,), (COMPILED, THIRD)], True),
        ([THIRD], [CONTROL], [(OTHER, COMPILED), (THIRD,)], True),
        # What the compiled cell is compared with ran out.
        ([THIRD], [PARTNER], [(OTHER, COMPILED), (THIRD,)], True),
        ([THIRD], [OTHER, COMPILED], [(OTHER, COMPILED), (THIRD,)], True),
    ],
)
def test_cells_that_memory_did_not_hold_are_measured_in_a_second_wave(
    deferred: list[Cell], ran_out: list[Cell], parts: list[tuple[Cell, ...]], again: bool
) -> None:
    measured = local_set(OTHER, COMPILED, THIRD, against_base=any(cell.base for cell in deferred))
    assert measured._split_if_needed(0, live_wave(ran_out, deferred=deferred)) is again
    assert [wave.own for wave in measured._waves] == parts
    assert not measured._context.failed


@pytest.mark.parametrize(
    ("ran_out", "failed"),
    [
        ([COMPILED], [COMPILED]),
        ([waves.base(COMPILED)], [waves.base(COMPILED)]),
        ([REFERENCE, CONTROL], [REFERENCE, CONTROL]),
        ([PARTNER], []),  # it may fit into the wave that owns it
        ([PARTNER, COMPILED], [COMPILED]),
    ],
)
def test_if_a_wave_cannot_be_split_its_cells_that_ran_out_fail(
    ran_out: list[Cell], failed: list[Cell]
) -> None:
    measured = local_set(COMPILED, against_base=any(cell.base for cell in ran_out))
    assert not measured._split_if_needed(0, live_wave(ran_out))
    assert len(measured._waves) == 1
    assert measured._context.failed == {cell.id for cell in failed}


def test_a_wave_beside_which_another_s_cell_ran_out_is_not_taken_for_fitting() -> None:
    measured = local_set(COMPILED)
    outcome = Outcome(plan(*GROUP))
    for set_index in range(2):
        outcome.apply(events.WaveBegan(REFERENCE.group, set_index, 0, host=""))
        measured._split_if_needed(0, live_wave([PARTNER]))
        outcome.waves[REFERENCE.group] = measured._waves
        for event in measured._context.drain():
            outcome.apply(event)
        outcome.apply(events.WaveEnded(REFERENCE.group, set_index, 0))
    assert not outcome.fitting_waves
    assert [wave.own for wave in outcome.waves[REFERENCE.group]] == [(COMPILED,)]
    assert outcome.notes == [
        f"{REFERENCE.group}: {PARTNER.name} ran out of memory beside {COMPILED.name}, which was "
        "not compared with it there."
    ]


def test_a_wave_in_which_nothing_ran_out_stays_whole() -> None:
    measured = local_set(OTHER, COMPILED)
    assert not measured._split_if_needed(0, live_wave())
    assert len(measured._waves) == 1


@pytest.mark.parametrize(
    ("ran_out", "owns_any", "allotted"),
    [
        ([], True, True),
        ([], False, True),  # they died, so no later wave has them
        ([COMPILED], True, True),
        ([OTHER, COMPILED], False, False),
    ],
)
def test_the_number_of_rounds_is_not_computed_from_the_reference_alone(
    ran_out: list[Cell], owns_any: bool, allotted: bool
) -> None:
    measured = local_set(OTHER, COMPILED)
    live = live_wave(ran_out, owns_any=owns_any, round_s=0.1, effort=1.0, workers=4)
    rounds = measured._allot(live, set_s=5.0)
    assert [type(event) for event in measured._context.pending] == [events.Allotted] * allotted
    assert (rounds > rounds_per_set.MIN_ROUNDS) is allotted


def test_a_number_of_rounds_that_is_known_is_kept() -> None:
    measured = local_set(OTHER, COMPILED, rounds=70)
    live = live_wave([OTHER, COMPILED], owns_any=False, round_s=0.1, effort=1.0, workers=4)
    assert measured._allot(live, set_s=5.0) == 70
    assert not measured._context.pending
