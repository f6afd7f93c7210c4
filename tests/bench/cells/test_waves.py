from dataclasses import replace

import pytest

from bench.cells import waves
from bench.cells.cell import Cell
from bench.cells.waves import Wave
from tests.bench import runs

REFERENCE = runs.REFERENCE_EAGER
CONTROL = waves.control(REFERENCE)
FIRST, SECOND, THIRD = (runs.cell(name) for name in ("first", "second", "third"))
COMPILED, REFERENCE_COMPILED = runs.cell("first", "compile"), runs.cell(runs.REFERENCE, "compile")
GROUP = (FIRST, REFERENCE, COMPILED, SECOND, REFERENCE_COMPILED, THIRD)
WHOLE = waves.single_wave(GROUP, REFERENCE)


def wave_of(*own: Cell) -> Wave:
    return replace(WHOLE, own=own)


def test_single_wave_orders_cells_by_mode_with_the_references_arch_first() -> None:
    assert WHOLE.own == tuple(cell for cell in GROUP if cell != REFERENCE)
    assert WHOLE.cells == (
        *(REFERENCE, CONTROL, FIRST, SECOND, THIRD),
        *(REFERENCE_COMPILED, COMPILED),
    )


@pytest.mark.parametrize(
    ("wave", "cells"),
    [
        (wave_of(SECOND), (REFERENCE, CONTROL, SECOND)),
        (wave_of(COMPILED), (REFERENCE, CONTROL, REFERENCE_COMPILED, COMPILED)),
        (wave_of(), (REFERENCE, CONTROL)),
    ],
)
def test_partial_wave_contains_the_cells_to_compare_with(
    wave: Wave, cells: tuple[Cell, ...]
) -> None:
    assert wave.cells == cells


@pytest.mark.parametrize(
    ("wave", "needed"),
    [
        (WHOLE, (REFERENCE, CONTROL, FIRST)),
        (wave_of(SECOND, THIRD), (REFERENCE, CONTROL, SECOND)),
        (wave_of(COMPILED), (REFERENCE, CONTROL, REFERENCE_COMPILED, COMPILED)),
        (wave_of(), (REFERENCE, CONTROL)),
    ],
)
def test_the_cells_up_to_the_first_own_one_are_needed(wave: Wave, needed: tuple[Cell, ...]) -> None:
    assert wave.needed(wave.cells) == needed


def test_the_first_own_cell_that_is_alive_is_needed() -> None:
    alive = [cell for cell in WHOLE.cells if cell not in {FIRST, CONTROL}]
    assert WHOLE.needed(alive) == (REFERENCE, SECOND)
    assert WHOLE.needed([CONTROL, REFERENCE]) == (REFERENCE, CONTROL)


@pytest.mark.parametrize(
    ("apart", "parts"),
    [
        ((SECOND,), ((FIRST, THIRD), (SECOND,))),
        ((THIRD, FIRST), ((SECOND,), (FIRST, THIRD))),  # in the order of the wave
        ((THIRD, REFERENCE), ((FIRST, SECOND), (THIRD,))),  # the reference belongs to every wave
        ((), ((FIRST, SECOND), (THIRD,))),
        ((FIRST, SECOND, THIRD), ((FIRST, SECOND), (THIRD,))),
    ],
)
def test_split_puts_cells_in_a_second_wave_or_halves_the_wave(
    apart: tuple[Cell, ...], parts: tuple[tuple[Cell, ...], ...]
) -> None:
    assert wave_of(FIRST, SECOND, THIRD).split(apart) == tuple(wave_of(*own) for own in parts)


@pytest.mark.parametrize("apart", [(), (FIRST,), (SECOND,)])
def test_wave_of_one_cell_is_not_split(apart: tuple[Cell, ...]) -> None:
    assert wave_of(FIRST).split(apart) == (wave_of(FIRST),)
    assert wave_of().split(apart) == (wave_of(),)


AGAINST = replace(WHOLE, against_base=True)


def test_cells_except_the_control_are_followed_by_their_base() -> None:
    assert replace(AGAINST, own=(SECOND, COMPILED)).cells == (
        *(REFERENCE, waves.base(REFERENCE), CONTROL),
        *(SECOND, waves.base(SECOND)),
        *(REFERENCE_COMPILED, waves.base(REFERENCE_COMPILED), COMPILED, waves.base(COMPILED)),
    )


@pytest.mark.parametrize(("own", "count"), [((SECOND, THIRD), 5), ((COMPILED,), 7), ((), 3)])
def test_the_base_of_the_first_own_cell_is_needed(own: tuple[Cell, ...], count: int) -> None:
    wave = replace(AGAINST, own=own)
    assert wave.needed(wave.cells) == wave.cells[:count]
    assert wave.cells[count - 1].base is bool(own)


def test_a_cell_whose_base_has_failed_is_needed_without_it() -> None:
    wave = replace(AGAINST, own=(SECOND, THIRD))
    alive = [cell for cell in wave.cells if cell != waves.base(SECOND)]
    assert wave.needed(alive) == (REFERENCE, waves.base(REFERENCE), CONTROL, SECOND)


def test_splitting_off_a_base_splits_off_its_cell() -> None:
    parts = replace(AGAINST, own=(FIRST, SECOND, THIRD)).split((waves.base(SECOND),))
    assert [part.own for part in parts] == [(FIRST, THIRD), (SECOND,)]
    assert all(part.against_base for part in parts)
