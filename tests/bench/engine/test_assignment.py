"""Which sets are measured at the same time, and how long 1,000 cells then take on 64 nodes."""

import heapq
from collections.abc import Callable
from dataclasses import replace
from itertools import islice, product

import pytest

from bench.cells.cell import Cell
from bench.cells.plan import Plan
from bench.engine import assignment
from bench.engine.assignment import LEAST_CELLS, MOST_CELLS, OVERHEAD_CELLS, TaskQueue
from bench.engine.tasks import SetTask
from bench.records import events
from bench.records.outcome import Outcome
from tests.bench import runs
from tests.bench.engine.running import cell
from tests.bench.engine.running import plan as engine_plan

BATCH_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
CELL_S = 4.0
# Measured on one core: reading, applying and storing an event takes 0.02 ms, and Ray's stream
# 0.2 ms for each item. A cell has some 30 visits in a set.
EVENT_S, EVENTS_OF_CELL = 0.00022, 30


def plan(archs: int, modes: int, sets: int = 3, groups: int = 1) -> Plan:
    """Return a plan of so many cells in each group."""
    cells = tuple(
        replace(cell(f"net{arch}"), mode=f"mode{mode}", batch_size=batch_size)
        for batch_size, arch, mode in product(BATCH_SIZES[:groups], range(archs), range(modes))
    )
    return engine_plan(*cells, sets=sets)


def divided(request: Plan, slots: int) -> Outcome:
    outcome = Outcome(request)
    for division in assignment.divisions(outcome, slots):
        outcome.apply(division)
    return outcome


def queue_of(outcome: Outcome, **options: Callable[[], object]) -> TaskQueue:
    def make(group: str, index: int) -> SetTask:
        waves = outcome.waves[group]
        alive = [each for each in waves[0].group if each.id not in outcome.failures]
        ended = outcome.ended_waves(group, index)
        return SetTask(
            group=group, set_index=index, cells=tuple(alive), waves=waves, ended=ended, rounds=3
        )

    sets = {group: range(outcome.plan.sets) for group in outcome.waves}
    return TaskQueue(sets, make, **options)  # type: ignore[arg-type]


def own(task: SetTask) -> tuple[Cell, ...]:
    """Return the own cells of the wave that a task measures."""
    (index,) = set(range(len(task.waves))) - set(task.ended)
    return task.waves[index].own


def drained(queue: TaskQueue) -> list[SetTask]:
    tasks = []
    while task := queue.next():
        tasks.append(task)
    return tasks


def test_planned_sets_are_one_batch_and_others_follow_one_by_one() -> None:
    together, alone = (assignment.batches(3, together=value) for value in (True, False))
    assert list(islice(together, 3)) == [range(3), range(3, 4), range(4, 5)]
    assert list(islice(alone, 2)) == [range(1), range(1, 2)]


def test_a_large_group_is_divided_by_modes_and_a_small_one_is_not() -> None:
    request = plan(archs=20, modes=2)
    outcome = divided(request, slots=4)
    (waves,) = outcome.waves.values()
    assert all(LEAST_CELLS - 1 <= len(wave.own) <= MOST_CELLS for wave in waves)
    cells = [each for wave in waves for each in wave.own]
    assert sorted(each.id for each in (*cells, waves[0].reference)) == sorted(
        each.id for each in request.cells
    )
    several = [wave for wave in waves if len({each.mode for each in wave.own}) > 1]
    assert len(several) <= 1
    assert not list(assignment.divisions(outcome, 4))
    assert not list(assignment.divisions(Outcome(plan(archs=5, modes=2)), 4))


def test_what_was_measured_is_not_divided() -> None:
    outcome = Outcome(plan(archs=20, modes=2))
    (group,) = outcome.waves
    outcome.apply(events.WaveBegan(group, 0, 0))
    assert not list(assignment.divisions(outcome, 4))


def test_later_sets_wait_for_the_first_set_of_their_group_only() -> None:
    outcome = divided(plan(archs=20, modes=1, groups=2), slots=2)
    queue = queue_of(outcome)
    first = drained(queue)
    assert {task.set_index for task in first} == {0}
    one, other = ([task for task in first if task.group == group] for group in outcome.waves)
    failed = own(one[0])[0]
    for task in one:
        assert not drained(queue)
        queue.end(task)
        outcome.apply(events.Failed(cell=failed.id, failure=runs.FAILURE))
    later = drained(queue)
    assert {task.group for task in later} == {one[0].group}
    assert [task.set_index for task in later] == [1] * len(one) + [2] * len(one)
    assert all(failed not in task.cells for task in later)
    for task in (*other, *later):
        queue.end(task)
    assert len(drained(queue)) == 2 * len(other)


def test_waves_that_have_ended_are_not_repeated() -> None:
    outcome = divided(plan(archs=20, modes=1), slots=2)
    ((group, waves),) = outcome.waves.items()
    for index in range(len(waves)):
        outcome.apply(events.WaveBegan(group, 0, index))
        outcome.apply(events.WaveEnded(group, 0, index))
    outcome.apply(events.WaveBegan(group, 1, 0))
    outcome.apply(events.WaveEnded(group, 1, 0))
    left = [(task.set_index, own(task)) for task in drained(queue_of(outcome))]
    assert left == [(1, wave.own) for wave in waves[1:]] + [(2, wave.own) for wave in waves]


def test_a_group_that_memory_does_not_hold_is_left_for_later() -> None:
    outcome = divided(plan(archs=20, modes=1), slots=2)
    (group,) = outcome.waves
    queue = queue_of(outcome)
    first = drained(queue)
    for task in first:
        queue.end(task, is_undivided=True)
    assert not drained(queue)
    assert queue.undivided == [(group, 0), (group, 1), (group, 2)]


def test_nothing_begins_in_vain_or_without_time() -> None:
    left_s = [5.0]
    outcome = divided(plan(archs=20, modes=1), slots=2)
    queue = queue_of(outcome, budget_left_s=lambda: left_s[0], is_in_vain=lambda: True)
    (task, *others) = drained(queue)
    assert task.budget_left_s == 5.0
    for each in (task, *others):
        queue.end(each)
    assert not drained(queue)
    late = queue_of(outcome, budget_left_s=lambda: -1.0)
    assert not drained(late)


def wall_s(outcome: Outcome, nodes: int) -> tuple[float, float]:
    """Return the simulated wall time of a plan, and the time for which nodes measure.

    A node is free again when the coordinator, which handles one event after the other, has handled
    all events of its task.
    """
    queue, now_s, coordinator_s, busy_s = queue_of(outcome), 0.0, 0.0, 0.0
    measuring: list[tuple[float, int, SetTask]] = []
    number = 0
    while True:
        while len(measuring) < nodes and (task := queue.next()):
            cells = len(own(task)) + OVERHEAD_CELLS
            took_s = CELL_S * cells * (0.9 + 0.2 * (number * 7919 % 101) / 100)
            busy_s += took_s
            number += 1
            heapq.heappush(measuring, (now_s + took_s, number, task))
        if not measuring:
            return now_s, busy_s
        end_s, _, task = heapq.heappop(measuring)
        coordinator_s = max(coordinator_s, end_s) + EVENT_S * EVENTS_OF_CELL * len(own(task))
        now_s = coordinator_s
        queue.end(task)


@pytest.mark.parametrize("nodes", [1, 8, 64])
def test_a_thousand_cells_keep_the_nodes_busy(nodes: int) -> None:
    # The profile `full` has 8 sets.
    outcome = divided(plan(archs=25, modes=4, sets=8, groups=10), slots=nodes)
    assert len(outcome.plan.cells) == 1_000
    took_s, busy_s = wall_s(outcome, nodes)
    print(f"{nodes} nodes: {took_s:,.0f} s, {busy_s / nodes / took_s:.1%} of it measuring")
    assert busy_s / nodes / took_s >= 0.95
