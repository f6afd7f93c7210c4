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
WHOLE = waves.whole(GROUP, REFERENCE)


def of(*own: Cell) -> Wave:
    return replace(WHOLE, own=own)


def test_a_whole_group_is_one_wave_mode_by_mode_the_references_arch_first() -> None:
    assert WHOLE.own == tuple(cell for cell in GROUP if cell != REFERENCE)
    assert WHOLE.cells == (
        *(REFERENCE, CONTROL, FIRST, SECOND, THIRD),
        *(REFERENCE_COMPILED, COMPILED),
    )


@pytest.mark.parametrize(
    ("wave", "cells"),
    [
        (of(SECOND), (REFERENCE, CONTROL, SECOND)),
        (of(COMPILED), (REFERENCE, CONTROL, REFERENCE_COMPILED, COMPILED)),
        (of(), (REFERENCE, CONTROL)),
    ],
)
def test_a_part_has_what_it_is_compared_with(wave: Wave, cells: tuple[Cell, ...]) -> None:
    assert wave.cells == cells


@pytest.mark.parametrize(
    ("wave", "least"),
    [(WHOLE, 3), (of(SECOND, THIRD), 3), (of(COMPILED), 4), (of(), 2)],
)
def test_the_least_that_must_be_alive_ends_with_the_first_own_cell(wave: Wave, least: int) -> None:
    assert wave.least == least
    assert not {*wave.cells[: least - 1]} & {*wave.own}


@pytest.mark.parametrize(
    ("apart", "parts"),
    [
        ((SECOND,), ((FIRST, THIRD), (SECOND,))),
        ((THIRD, FIRST), ((SECOND,), (FIRST, THIRD))),  # in the wave's order
        ((THIRD, REFERENCE), ((FIRST, SECOND), (THIRD,))),  # the reference is no wave's own
        ((), ((FIRST, SECOND), (THIRD,))),
        ((FIRST, SECOND, THIRD), ((FIRST, SECOND), (THIRD,))),
    ],
)
def test_cells_apart_are_a_wave_of_their_own_or_it_is_halved(
    apart: tuple[Cell, ...], parts: tuple[tuple[Cell, ...], ...]
) -> None:
    assert of(FIRST, SECOND, THIRD).without(apart) == tuple(of(*own) for own in parts)


@pytest.mark.parametrize("apart", [(), (FIRST,), (SECOND,)])
def test_a_wave_of_one_cell_stays(apart: tuple[Cell, ...]) -> None:
    assert of(FIRST).without(apart) == (of(FIRST),)
    assert of().without(apart) == (of(),)


AGAINST = replace(WHOLE, against_base=True)


def test_against_a_base_each_cell_is_followed_by_the_bases_but_the_control() -> None:
    assert replace(AGAINST, own=(SECOND, COMPILED)).cells == (
        *(REFERENCE, waves.base(REFERENCE), CONTROL),
        *(SECOND, waves.base(SECOND)),
        *(REFERENCE_COMPILED, waves.base(REFERENCE_COMPILED), COMPILED, waves.base(COMPILED)),
    )


@pytest.mark.parametrize(("own", "least"), [((SECOND, THIRD), 5), ((COMPILED,), 7), ((), 3)])
def test_against_a_base_the_least_ends_with_the_first_own_cells_base(
    own: tuple[Cell, ...], least: int
) -> None:
    wave = replace(AGAINST, own=own)
    assert wave.least == least
    assert wave.cells[least - 1].base is bool(own)


def test_a_base_that_is_set_apart_takes_its_cell_along() -> None:
    parts = replace(AGAINST, own=(FIRST, SECOND, THIRD)).without((waves.base(SECOND),))
    assert [part.own for part in parts] == [(FIRST, THIRD), (SECOND,)]
    assert all(part.against_base for part in parts)
