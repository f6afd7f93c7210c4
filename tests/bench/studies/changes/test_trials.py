import numpy as np
import pytest

from bench.studies.changes import trials
from bench.studies.changes.cases import STEPS, UNCHANGED, Truth
from bench.studies.changes.detectors import DETECTORS
from bench.studies.changes.noise import Measured, normal
from bench.studies.changes.trials import Labels, Score

UP, DOWN = Truth(index=20, is_up=True), Truth(index=30, is_up=False)
LABELS = Labels(detector="d", version="1", noise="n", case="c")


@pytest.mark.parametrize(
    ("reported", "found", "exact"),
    [
        ([], 0, 0),
        ([UP, DOWN], 2, 2),
        ([Truth(index=22, is_up=True)], 1, 0),
        ([Truth(index=23, is_up=True)], 0, 0),
        ([Truth(index=20, is_up=False)], 0, 0),
        ([UP, UP], 1, 1),  # one true change is found once
    ],
)
def test_a_report_is_true_if_it_is_near_and_in_the_right_direction(
    reported: list[Truth], found: int, exact: int
) -> None:
    assert trials.score([UP, DOWN], reported) == Score(
        true=2, found=found, exact=exact, reported=len(reported)
    )


def test_counts_are_sums_over_series() -> None:
    row = trials.run(
        lambda values: [UP] if values[0] > 1 else [DOWN],
        [([2.0], [UP]), ([0.5], [UP]), ([0.5], [])],
        labels=LABELS,
    )
    assert (row.series, row.alarmed, row.true, row.found, row.reported) == (3, 2, 2, 1, 3)


def test_a_watched_series_is_looked_at_after_every_run_until_an_alarm() -> None:
    looks: list[int] = []

    def find(values: object) -> list[Truth]:
        assert isinstance(values, list)
        looks.append(len(values))
        return [UP] if len(values) == 12 else []

    assert trials.look(find, [1.0] * 15, is_watched=True) == [UP]
    assert looks == [10, 11, 12]
    looks.clear()
    assert trials.look(find, [1.0] * 15, is_watched=False) == []
    assert looks == [15]


def test_measured_rounds_keep_their_order() -> None:
    measured = Measured(sets=(), rounds=(np.arange(5.0), np.arange(1.0)))
    parts = [np.log(values).round(6).tolist() for values in trials.in_order(measured, 2)]
    assert parts == [[0.0, 1.0], [2.0, 3.0]]


def test_our_detector_finds_a_clear_change_and_nothing_else() -> None:
    measured = Measured(sets=(np.array([-0.005, 0.005] * 20),), rounds=())
    find = DETECTORS["ours"].find
    case = next(case for case in STEPS if (case.name, case.percent) == ("recent", 10.0))
    series = list(trials.simulated(case, normal, measured, 5, seed=1))
    row = trials.run(find, ((values, case.truths) for values in series), labels=LABELS)
    assert (row.found, row.exact, row.alarmed) == (5, 5, 0)
    again = list(trials.simulated(case, normal, measured, 5, seed=1))
    assert series == again
    (values,) = trials.simulated(UNCHANGED, normal, measured, 1, seed=1)
    assert find(values) == []
