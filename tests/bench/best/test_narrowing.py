import math
from dataclasses import replace

import pytest

from bench.best import narrowing
from bench.best.candidate import Candidate, remaining
from bench.cells.cell import Cell
from bench.means import Interval
from bench.records.reported import Setup
from tests.bench import runs


def candidate(
    mode: str, speed: float | None = None, *, batch_size: int = 1, error: float | None = None
) -> Candidate:
    cell = Cell(
        arch="mine", mode=mode, dtype="fp32", batch_size=batch_size, task="infer", device="cpu"
    )
    if speed is None:
        return Candidate(cell=cell, error=error)
    speedup = Interval(estimate=speed, low=math.nan, high=math.nan, sets=1)
    return Candidate(cell=cell, speedup=speedup, error=error)


def modes(candidates: list[Candidate]) -> list[str]:
    return [each.cell.mode for each in remaining(candidates)]


@pytest.mark.parametrize(
    ("speed", "left"),
    [(2.0, ["eager", "compile", "channels_last"]), (1.5, ["eager", "compile"])],
)
def test_candidates_beyond_the_margin_are_dropped_but_not_eager(
    speed: float, left: list[str]
) -> None:
    found = [candidate("eager", 1.0), candidate("compile", 2.4), candidate("channels_last", speed)]
    assert modes(narrowing.slower(found, narrowing.EXPLORING, 1)) == left


def test_batch_sizes_are_not_compared() -> None:
    found = [candidate("compile", 2.0), candidate("compile", 1.0, batch_size=8)]
    assert narrowing.slower(found, narrowing.EXPLORING, 1) == found


@pytest.mark.parametrize(("most", "left"), [(None, 2), (0.1, 2), (0.05, 2), (0.01, 1)])
def test_candidates_with_a_larger_error_are_dropped(most: float | None, left: int) -> None:
    found = [candidate("eager", 1.0, error=0.0), candidate("compile", 2.0, error=0.05)]
    assert len(remaining(narrowing.inexact(found, most, 1))) == left


def test_only_the_fastest_and_eager_are_finalists() -> None:
    found = [
        candidate("eager", 1.0),
        *(candidate(f"compile{'+channels_last' * n}", 2.0 + n) for n in range(2)),
        candidate("channels_last", 1.9),
        candidate("max-autotune", 1.8),
    ]
    kept = narrowing.fastest(found, 1)
    assert len(kept) == narrowing.FINALISTS
    assert modes(narrowing.not_among(found, kept, 2)) == [
        *("eager", "compile", "compile+channels_last", "channels_last")
    ]


def test_without_its_reference_a_batch_size_has_no_candidates() -> None:
    failed = candidate("eager").drop(1, "it failed")
    other = candidate("compile", batch_size=8)
    found = narrowing.without_reference([failed, candidate("compile"), other], 1)
    assert remaining(found) == [other]


def test_the_error_is_the_largest_over_the_sets() -> None:
    run = runs.small()
    setups = tuple(Setup(output_error=error) for error in (1e-6, None, 3e-6, 2e-6))
    run = replace(run, cells=(*run.cells[:2], replace(run.cells[2], setups=setups)))
    (found,) = narrowing.measured([Candidate(cell=runs.EAGER)], run, 1)
    assert found.error == 3e-6


def test_only_candidates_without_figures_are_unmeasured() -> None:
    known, unknown = candidate("eager", 1.0), candidate("compile")
    found = narrowing.unmeasured([known, unknown], 1, "no time")
    assert found[0] == known
    assert found[1].dropped is not None
    assert found[1].dropped.is_unmeasured
