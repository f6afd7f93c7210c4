from types import SimpleNamespace
from typing import Any

import pytest

from bench.cells import waves
from bench.cells.cell import Cell
from bench.engine.local.preparing import Preparation, covered_s, must_wait, only_s, was_measured
from tests.bench import runs
from tests.bench.engine.running import cell, plan

REFERENCE, FIRST, SECOND = (runs.cell(name, "compile") for name in ("a", "b", "c"))
CONTROL = waves.control(REFERENCE)


class FakePool(list[Cell]):
    """Live workers, by their cells only."""

    def __iter__(self) -> Any:
        return iter(tuple(super().__iter__()))

    drop = list.remove
    out_of_memory: dict[Cell, Any] = {}  # noqa: RUF012 - none of them runs out


@pytest.mark.parametrize(
    ("alive", "waiting", "deferred", "still_waiting"),
    [
        # The reference has filled the cache and waits again, behind a cell that has no room.
        ([FIRST], [SECOND, REFERENCE, CONTROL], {SECOND}, [REFERENCE, CONTROL]),
        ([REFERENCE, CONTROL, FIRST], [SECOND], {SECOND}, []),
        ([REFERENCE, CONTROL, FIRST, SECOND], [waves.base(SECOND)],
         {SECOND, waves.base(SECOND)}, []),
        ([REFERENCE, CONTROL, FIRST, waves.base(SECOND)], [SECOND],
         {SECOND, waves.base(SECOND)}, []),
    ],
)  # fmt: skip
def test_cells_without_room_are_left_out_with_their_base_and_needed_ones_wait(
    alive: list[Cell], waiting: list[Cell], deferred: set[Cell], still_waiting: list[Cell]
) -> None:
    is_gate = any(each.base for each in deferred)
    group = (REFERENCE, FIRST, SECOND)
    wave = waves.single_wave(group, REFERENCE, against_base=is_gate)
    live: Any = FakePool(alive)
    context: Any = SimpleNamespace(failed=set())
    preparation = Preparation(context, wave, live, wave.cells, "cpu")
    assert list(preparation._defer(waiting)) == still_waiting
    assert set(preparation.deferred) == deferred
    assert list(live) == [each for each in alive if each not in deferred]


def test_the_next_cell_starts_if_the_first_has_died() -> None:
    wave = waves.single_wave((REFERENCE, FIRST, SECOND), REFERENCE)
    live: Any = FakePool([REFERENCE, CONTROL])
    context: Any = SimpleNamespace(failed={FIRST.id})
    preparation = Preparation(context, wave, live, wave.cells, "cpu")
    assert list(preparation._defer([SECOND])) == [SECOND]
    assert preparation.deferred == []


def test_no_cell_starts_beyond_memory_if_the_order_is_random() -> None:
    """The wave is started again in order."""
    wave = waves.single_wave((REFERENCE, FIRST, SECOND), REFERENCE)
    live: Any = FakePool([SECOND])
    context: Any = SimpleNamespace(failed=set())
    preparation = Preparation(context, wave, live, wave.cells, "cpu", in_any_order=True)
    assert list(preparation._defer([FIRST, CONTROL, REFERENCE])) == []
    assert preparation.deferred == [FIRST, CONTROL, REFERENCE]


@pytest.mark.parametrize(
    ("spans", "expected"),
    [
        ([], 0.0),
        ([(1.0, 3.0)], 2.0),
        ([(5.0, 6.0), (1.0, 3.0)], 3.0),
        ([(1.0, 3.0), (2.0, 5.0)], 4.0),
        ([(1.0, 9.0), (2.0, 3.0), (8.0, 10.0)], 9.0),
    ],
    ids=["empty", "single", "separate", "overlapping", "nested"],
)
def test_overlapping_spans_are_counted_once(
    spans: list[tuple[float, float]], expected: float
) -> None:
    assert covered_s(spans) == expected


@pytest.mark.parametrize(
    ("compilations", "others", "expected"),
    [
        ([(0.0, 30.0)], [], 30.0),
        ([(0.0, 30.0)], [(0.0, 2.0), (2.0, 5.0), (30.0, 31.0)], 25.0),
        ([(0.0, 30.0), (1.0, 29.0)], [(29.0, 33.0)], 29.0),
        ([(0.0, 4.0)], [(0.0, 9.0)], 0.0),
    ],
    ids=["alone", "others beside it", "two at once", "others all the time"],
)
def test_only_the_time_in_which_nothing_else_is_prepared_is_compilation(
    compilations: list[tuple[float, float]], others: list[tuple[float, float]], expected: float
) -> None:
    assert only_s(compilations, others) == expected


@pytest.mark.parametrize(
    ("mode", "busy", "waits"),
    [
        ("eager", ["eager", "compile"], False),
        ("compile", ["compile"], True),
        ("compile", ["eager", "reduce-overhead", "compile+channels_last"], False),
        ("reduce-overhead", ["reduce-overhead"], True),
        ("max-autotune", [], False),
        ("max-autotune", ["eager"], True),
        ("eager", ["max-autotune"], True),
    ],
)
def test_workers_wait_for_the_same_graph_and_kernel_tuning_runs_alone(
    mode: str, busy: list[str], waits: bool
) -> None:
    preparing = [runs.cell("googlenet", name) for name in busy]
    assert must_wait(runs.cell("googlenet", mode), preparing) is waits


def test_different_archs_may_compile_at_the_same_time() -> None:
    assert not must_wait(runs.cell("googlenet", "compile"), [runs.cell("torchvision", "compile")])


def test_the_cache_of_a_device_is_filled_after_its_first_set() -> None:
    request = plan(cell("works"), sets=4, devices=("cuda:0", "cuda:1"))
    cached = [was_measured(request, request.device_of(index), before=index) for index in range(4)]
    assert cached == [False, False, True, True]
