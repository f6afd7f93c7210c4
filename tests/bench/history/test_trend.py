import pytest

from bench.history import trend
from bench.history.changes import Direction
from tests.bench.history.histories import series, values


def test_levels_lie_between_the_changes() -> None:
    found = trend.find(series(values((20, 2.0), (20, 1.9))))
    assert [(level.first, level.last) for level in found.levels] == [(0, 19), (20, 39)]
    assert [level.value for level in found.levels] == pytest.approx([2.0, 1.9], rel=0.005)


def test_the_runs_around_a_change_are_named() -> None:
    found = trend.find(series(values((20, 2.0), (20, 1.9))))
    before, after = found.around(found.changes[0])
    assert (before.run_id, after.run_id) == ("run-19", "run-20")


def test_the_direction_follows_from_the_metric() -> None:
    slower = values((20, 1.0), (20, 1.1))
    for better, direction in (
        ("less", Direction.REGRESSION),
        ("more", Direction.IMPROVEMENT),
        (None, Direction.CHANGE),
    ):
        (change,) = trend.find(series(slower, better=better)).changes
        assert change.direction is direction


def test_a_change_that_was_undone_leaves_nothing() -> None:
    fixed = trend.find(series(values((20, 1.0), (10, 0.9), (20, 1.0))))
    assert fixed.remaining(fixed.changes[0]) == pytest.approx(0, abs=0.1)
    assert fixed.remaining(fixed.changes[1]) == 1.0


@pytest.mark.parametrize(
    ("of", "why"),
    [
        ([1.0] * 9, "it has 9 of the 10 runs"),
        ([1.0] * 19 + [0.0], "a value is 0 or negative"),
        ([], "it has 0 of the 10 runs"),
    ],
)
def test_a_series_that_cannot_be_searched_has_a_reason_and_no_change(
    of: list[float], why: str
) -> None:
    found = trend.find(series(of))
    assert found.changes == ()
    assert found.unsearched.startswith(why)


def test_the_most_recent_changes_come_first() -> None:
    early = trend.find(series(values((12, 1.0), (30, 1.2))))
    late = trend.find(series(values((30, 1.0), (12, 1.2))))
    assert [change.index for _, change in trend.all_changes([early, late])] == [30, 12]
