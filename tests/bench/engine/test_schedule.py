from collections import Counter
from collections.abc import Mapping
from itertools import count

from bench.cells.plan import Plan
from bench.engine.schedule import Schedule

GROUPS = {"first": 10.0, "second": 10.0}


def plan(*, budget_s: float | None = None, against_base: bool = False) -> Plan:
    """Return a plan with one set and 50 s for more sets."""
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
    request: Plan | None = None,
    compiling_s: float = 0.0,
    renewing_s: float = 0.0,
) -> Counter[str]:
    """Return the number of sets of each group; ``groups`` has the seconds per set."""
    now_s, compiled_s = 1000.0, 0.0
    schedule = Schedule(request or plan(), lambda: now_s, lambda: compiled_s)
    measured: Counter[str] = Counter()
    for set_index in count():
        due = schedule.groups_with_time(set_index, groups)
        if not due:
            return measured
        for index, group in enumerate(filter(due.__contains__, groups)):
            with schedule.measuring(group):
                now_s += groups[group]
                if set_index > 0 and index == 0:  # the launchers are renewed
                    now_s += renewing_s
                if not measured:
                    now_s, compiled_s = now_s + compiling_s, compiling_s
            measured[group] += 1
    raise AssertionError


def test_a_set_is_added_for_each_group_that_has_time_left() -> None:
    assert sets() == {"first": 3, "second": 2}


def test_the_group_with_the_longest_sets_comes_first() -> None:
    assert sets({"first": 10.0, "second": 20.0}) == {"first": 1, "second": 2}


def test_the_imports_before_a_set_count_as_time() -> None:
    assert sets(renewing_s=5.0) == {"first": 2, "second": 2}


def test_compilation_counts_only_for_a_budget_or_a_gate() -> None:
    assert sets(compiling_s=30.0) == {"first": 3, "second": 2}
    assert sets(compiling_s=30.0, request=plan(budget_s=50.0)) == {"first": 1, "second": 1}
    assert sets(compiling_s=30.0, request=plan(against_base=True)) == {"first": 1, "second": 1}


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
