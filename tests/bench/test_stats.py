import math
from collections.abc import Mapping, Sequence

import pytest

from bench import stats
from bench.record import CellRecord, Visit
from tests.bench import runs

Rounds = Mapping[tuple[int, int], Sequence[float]]


def record(rounds: Rounds) -> CellRecord:
    """A cell visited in these (set, round), with these samples."""
    return CellRecord(
        cell=runs.EAGER,
        visits=tuple(
            Visit(set_index=at[0], round_index=at[1], host_s=tuple(samples))
            for at, samples in rounds.items()
        ),
    )


def interpolated(samples: Sequence[float], percent: float) -> float:
    """Between the two order statistics around rank (n − 1) · percent / 100."""
    ordered = sorted(samples)
    rank = (len(ordered) - 1) * percent / 100
    below = math.floor(rank)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (rank - below) * (ordered[above] - ordered[below])


@pytest.mark.parametrize("percent", [0, 10, 50, 90, 99, 100])
@pytest.mark.parametrize("samples", [[3.0], [4.0, 1.0], [5.0, 1.0, 4.0, 2.0, 8.0, 7.0, 1.5]])
def test_percentile_interpolates_between_order_statistics(
    samples: list[float], percent: float
) -> None:
    assert stats.percentile(samples, percent) == pytest.approx(interpolated(samples, percent))


def test_percentile_of_nothing_is_nan() -> None:
    assert math.isnan(stats.percentile([], 50))


def test_images_per_second_is_batch_over_latency() -> None:
    assert stats.images_per_second(0.25, 8) == 8 / 0.25


@pytest.mark.parametrize("latency_s", [0.0, math.nan])
def test_images_per_second_of_no_latency_is_nan(latency_s: float) -> None:
    assert math.isnan(stats.images_per_second(latency_s, 8))


def test_speedup_is_the_reference_over_the_cell() -> None:
    slow, fast = record({(0, 0): [0.030]}), record({(0, 0): [0.012]})
    assert stats.speedup(fast, slow) == pytest.approx(0.030 / 0.012)
    assert stats.speedup(slow, fast) == pytest.approx(0.012 / 0.030)


def test_speedup_over_itself_is_exactly_one() -> None:
    same = runs.measured(runs.EAGER)
    assert stats.speedup(same, same) == 1.0


def test_drift_that_both_share_in_a_round_cancels() -> None:
    drift = {(0, 0): 1.0, (0, 1): 3.0, (0, 2): 0.5, (1, 0): 7.0, (1, 1): 0.2}
    fast = record({at: [factor * 0.012] for at, factor in drift.items()})
    slow = record({at: [factor * 0.030] for at, factor in drift.items()})
    assert stats.speedup(fast, slow) == pytest.approx(0.030 / 0.012, rel=1e-14)


def test_drift_by_powers_of_two_cancels_to_the_last_bits() -> None:
    steady = {(0, index): [0.25] for index in range(5)}
    drifting = {(0, index): [0.25 * 2.0**index] for index in range(5)}
    halved = {at: [sample / 2 for sample in samples] for at, samples in drifting.items()}
    assert stats.speedup(record(halved), record(drifting)) == pytest.approx(2, rel=1e-15)
    # And what does not drift alike does not cancel: the middle round's ratio is left.
    assert stats.speedup(record(steady), record(drifting)) == pytest.approx(2.0**2)


def test_a_visit_counts_as_its_median() -> None:
    fast, slow = record({(0, 0): [1.0, 2.0, 99.0]}), record({(0, 0): [50.0, 6.0, 0.1]})
    assert stats.speedup(fast, slow) == pytest.approx(6 / 2)


def test_the_median_over_rounds_ignores_an_outlying_round() -> None:
    slow = record({(0, index): [2.0] for index in range(3)})
    fast = record({(0, 0): [1.0], (0, 1): [1e-6], (0, 2): [1.0]})
    assert stats.speedup(fast, slow) == pytest.approx(2)


def test_sets_are_averaged_geometrically() -> None:
    slow = record({(0, 0): [2.0], (1, 0): [8.0]})
    fast = record({(0, 0): [1.0], (1, 0): [1.0]})
    assert stats.speedup(fast, slow) == pytest.approx(math.sqrt(2 * 8))


def test_a_set_counts_once_however_many_rounds_it_has() -> None:
    many = {(0, index): [2.0] for index in range(9)}
    slow = record({**many, (1, 0): [8.0]})
    fast = record({**{at: [1.0] for at in many}, (1, 0): [1.0]})
    assert stats.speedup(fast, slow) == pytest.approx(math.sqrt(2 * 8))


def test_only_rounds_that_both_were_visited_in_count() -> None:
    slow = record({(0, 0): [2.0], (0, 1): [1000.0], (1, 0): [1000.0]})
    fast = record({(0, 0): [1.0], (0, 2): [1e-9], (2, 0): [1e-9]})
    assert stats.speedup(fast, slow) == pytest.approx(2)


@pytest.mark.parametrize("rounds", [{}, {(0, 1): [1.0]}, {(1, 0): [1.0]}])
def test_never_together_is_nan(rounds: Rounds) -> None:
    assert math.isnan(stats.speedup(record({(0, 0): [1.0]}), record(rounds)))
