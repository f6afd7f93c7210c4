from collections import Counter
from collections.abc import Mapping
from itertools import count

from bench.cells.plan import Plan
from bench.engine.schedule import Schedule

GROUPS = {"first": 10.0, "second": 10.0}


def plan(*, budget_s: float | None = None, against_base: bool = False) -> Plan:
    """One set at the least, and 50 s for more."""
    return Plan(
        cells=(),
        sets=1,
        rounds=1,
        precision=0.02,
        extra_s=50.0,
        budget_s=budget_s,
        against_base=against_base,
        seed=0,
    )


def sets(
    groups: Mapping[str, float] = GROUPS,
    *,
    of: Plan | None = None,
    compiling_s: float = 0.0,
    renewing_s: float = 0.0,
) -> Counter[str]:
    """How many sets each group has, one of which takes so many seconds."""
    now_s, compiled_s = 1000.0, 0.0
    schedule = Schedule(of or plan(), lambda: now_s, lambda: compiled_s)
    found: Counter[str] = Counter()
    for set_index in count():
        due = schedule.with_time(set_index, groups)
        if not due:
            return found
        if schedule.has_begun:
            with schedule.renewing():
                now_s += renewing_s
        for group in filter(due.__contains__, groups):
            with schedule.measuring(group):
                now_s += groups[group]
                if not found:
                    now_s, compiled_s = now_s + compiling_s, compiling_s
            found[group] += 1
    raise AssertionError


def test_a_set_is_added_for_those_groups_that_time_has_room_for() -> None:
    assert sets() == {"first": 3, "second": 2}


def test_the_group_that_takes_longest_comes_first() -> None:
    assert sets({"first": 10.0, "second": 20.0}) == {"first": 1, "second": 2}


def test_what_is_imported_before_a_set_takes_time_too() -> None:
    assert sets(renewing_s=5.0) == {"first": 2, "second": 2}


def test_filling_an_empty_cache_is_part_of_a_budget_and_of_a_gate_s_time_alone() -> None:
    assert sets(compiling_s=30.0) == {"first": 3, "second": 2}
    assert sets(compiling_s=30.0, of=plan(budget_s=50.0)) == {"first": 1, "second": 1}
    assert sets(compiling_s=30.0, of=plan(against_base=True)) == {"first": 1, "second": 1}


def test_a_budget_begins_with_the_first_set() -> None:
    now_s = 1000.0
    schedule = Schedule(plan(budget_s=50.0), lambda: now_s, lambda: 0.0)
    now_s += 100.0
    assert not schedule.is_over_budget
    with schedule.measuring("first"):
        now_s += 50.0
        assert not schedule.is_over_budget
        now_s += 1.0
        assert schedule.is_over_budget
