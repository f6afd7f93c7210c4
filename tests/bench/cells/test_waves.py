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
    ("wave", "min_live"),
    [(WHOLE, 3), (wave_of(SECOND, THIRD), 3), (wave_of(COMPILED), 4), (wave_of(), 2)],
)
def test_min_live_ends_with_the_first_own_cell(wave: Wave, min_live: int) -> None:
    assert wave.min_live == min_live
    assert not {*wave.cells[: min_live - 1]} & {*wave.own}


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


@pytest.mark.parametrize(("own", "min_live"), [((SECOND, THIRD), 5), ((COMPILED,), 7), ((), 3)])
def test_min_live_ends_with_the_base_of_the_first_own_cell(
    own: tuple[Cell, ...], min_live: int
) -> None:
    wave = replace(AGAINST, own=own)
    assert wave.min_live == min_live
    assert wave.cells[min_live - 1].base is bool(own)


def test_splitting_off_a_base_splits_off_its_cell() -> None:
    parts = replace(AGAINST, own=(FIRST, SECOND, THIRD)).split((waves.base(SECOND),))
    assert [part.own for part in parts] == [(FIRST, THIRD), (SECOND,)]
    assert all(part.against_base for part in parts)
