import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.stats import pearsonr

from bench import stats
from bench.records.record import CellRecord, Visit
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


@pytest.mark.parametrize(
    ("widest", "asked", "precise"),
    [
        (0.02, 0.02, True),
        (0.021, 0.02, False),
        (math.nan, 0.99, False),
        (math.nan, 1.0, True),
        (math.inf, 1.0, True),
    ],
)
def test_whoever_asks_for_100_percent_asks_for_no_set_more(
    widest: float, asked: float, precise: bool
) -> None:
    assert stats.is_precise(widest, asked) is precise


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


def test_throughput_is_batch_over_latency() -> None:
    of_batch = replace(runs.EAGER, batch_size=8)
    found = stats.throughput(replace(record({(0, 0): [0.25]}), cell=of_batch))
    assert found.estimate == pytest.approx(8 / 0.25)


def test_speedup_is_the_reference_over_the_cell() -> None:
    slow, fast = record({(0, 0): [0.030]}), record({(0, 0): [0.012]})
    assert stats.speedup(fast, slow).estimate == pytest.approx(0.030 / 0.012)
    assert stats.speedup(slow, fast).estimate == pytest.approx(0.012 / 0.030)


def test_speedup_over_itself_is_exactly_one() -> None:
    same = runs.measured(runs.EAGER)
    assert stats.speedup(same, same).estimate == 1.0


def test_drift_that_both_share_in_a_round_cancels() -> None:
    drift = {(0, 0): 1.0, (0, 1): 3.0, (0, 2): 0.5, (1, 0): 7.0, (1, 1): 0.2}
    fast = record({at: [factor * 0.012] for at, factor in drift.items()})
    slow = record({at: [factor * 0.030] for at, factor in drift.items()})
    assert stats.speedup(fast, slow).estimate == pytest.approx(0.030 / 0.012, rel=1e-14)


def test_drift_by_powers_of_two_cancels_to_the_last_bits() -> None:
    steady = {(0, index): [0.25] for index in range(5)}
    drifting = {(0, index): [0.25 * 2.0**index] for index in range(5)}
    halved = {at: [sample / 2 for sample in samples] for at, samples in drifting.items()}
    assert stats.speedup(record(halved), record(drifting)).estimate == pytest.approx(2, rel=1e-15)
    # And what does not drift alike does not cancel: the middle round's ratio is left.
    assert stats.speedup(record(steady), record(drifting)).estimate == pytest.approx(2.0**2)


def test_a_visit_counts_as_its_median() -> None:
    fast, slow = record({(0, 0): [1.0, 2.0, 99.0]}), record({(0, 0): [50.0, 6.0, 0.1]})
    assert stats.speedup(fast, slow).estimate == pytest.approx(6 / 2)


def test_the_median_over_rounds_ignores_an_outlying_round() -> None:
    slow = record({(0, index): [2.0] for index in range(3)})
    fast = record({(0, 0): [1.0], (0, 1): [1e-6], (0, 2): [1.0]})
    assert stats.speedup(fast, slow).estimate == pytest.approx(2)


def test_sets_are_averaged_geometrically() -> None:
    slow = record({(0, 0): [2.0], (1, 0): [8.0]})
    fast = record({(0, 0): [1.0], (1, 0): [1.0]})
    assert stats.speedup(fast, slow).estimate == pytest.approx(math.sqrt(2 * 8))


def test_a_set_counts_once_however_many_rounds_it_has() -> None:
    many = {(0, index): [2.0] for index in range(9)}
    fewer = {(1, index): [8.0] for index in range(5)}
    slow = record({**many, **fewer})
    fast = record({at: [1.0] for at in (*many, *fewer)})
    assert stats.speedup(fast, slow).estimate == pytest.approx(math.sqrt(2 * 8))


def test_only_rounds_that_both_were_visited_in_count() -> None:
    slow = record({(0, 0): [2.0], (0, 1): [1000.0], (1, 0): [1000.0]})
    fast = record({(0, 0): [1.0], (0, 2): [1e-9], (2, 0): [1e-9]})
    assert stats.speedup(fast, slow).estimate == pytest.approx(2)


@pytest.mark.parametrize("rounds", [{}, {(0, 1): [1.0]}, {(1, 0): [1.0]}])
def test_never_together_is_nan(rounds: Rounds) -> None:
    assert math.isnan(stats.speedup(record({(0, 0): [1.0]}), record(rounds)).estimate)


def test_a_set_of_too_few_rounds_does_not_count() -> None:
    whole = {(0, index): [2.0] for index in range(4)}
    slow = record({**whole, (1, 0): [1000.0]})
    fast = record({at: [1.0] for at in (*whole, (1, 0))})
    assert stats.speedup(fast, slow).estimate == pytest.approx(2)
    assert stats.speedup(fast, slow).sets == 1


def of_waves(*waves: tuple[int, int, float]) -> CellRecord:
    """Visits by set and wave, three rounds of each."""
    return CellRecord(
        cell=runs.EAGER,
        visits=tuple(
            Visit(set_index=index, wave_index=wave, round_index=number, host_s=(seconds,))
            for index, wave, seconds in waves
            for number in range(3)
        ),
    )


def test_cells_of_two_waves_are_compared_through_the_one_in_both() -> None:
    own, other = of_waves((0, 0, 2.0), (1, 0, 2.0)), of_waves((0, 1, 16.0), (1, 0, 8.0))
    beside = of_waves((0, 0, 1.0), (0, 1, 2.0), (1, 0, 1.0))
    found = stats.speedup(own, other, beside=beside)
    # 8 to 2 in the first set too, in whose second wave the machine was half as fast.
    assert found.estimate == pytest.approx(4)
    assert found.sets == 2
    assert stats.speedup(own, other).sets == 1


def test_a_set_of_one_wave_counts_beside_one_of_three() -> None:
    found = stats.latency(of_waves((0, 0, 2.0), (1, 0, 8.0), (1, 1, 8.0), (1, 2, 8.0)))
    assert found.estimate == pytest.approx(4)
    assert found.sets == 2


def test_rounds_of_two_waves_are_not_taken_for_one() -> None:
    first = Visit(set_index=0, wave_index=0, round_index=0, host_s=(1.0,))
    second = replace(first, wave_index=1)
    fast = CellRecord(cell=runs.EAGER, visits=(first,))
    slow = CellRecord(cell=runs.EAGER, visits=(second,))
    assert stats.speedup(fast, slow).sets == 0


def test_voided_visits_do_not_count() -> None:
    slow = record({(0, 0): [2.0], (0, 1): [1000.0], (0, 2): [2000.0]})
    voided = tuple(replace(visit, voided=visit.round_index > 0) for visit in slow.visits)
    fast = record({(0, index): [1.0] for index in range(3)})
    assert stats.speedup(fast, replace(slow, visits=voided)).estimate == pytest.approx(2)


# Student's t, from any textbook's table.
T_95 = {1: 12.7062, 2: 4.30265, 3: 3.18245, 5: 2.57058}
T_99 = {2: 9.92484}


def test_the_interval_is_students() -> None:
    found = stats.interval([1.0, 2.0, 3.0])
    reach = T_95[2] * 1.0 / math.sqrt(3)  # their standard deviation is 1
    assert (found.estimate, found.sets, found.trimmed) == (2.0, 3, False)
    assert (found.low, found.high) == pytest.approx((2 - reach, 2 + reach), rel=1e-5)
    surer = stats.interval([1.0, 2.0, 3.0], 0.99)
    assert surer.high - 2 == pytest.approx(T_99[2] / math.sqrt(3), rel=1e-5)


def test_one_set_has_no_interval() -> None:
    found = stats.interval([2.0])
    assert (found.estimate, found.sets) == (2.0, 1)
    assert math.isnan(found.low)
    assert not found.contains(2.0)
    assert math.isnan(found.half_width)


def test_with_an_outlier_it_is_yuens() -> None:
    # Of eight, one is trimmed at each end: six are left, and the two ends take their neighbours'
    # values for the winsorized variance.
    values = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 100.0]
    assert stats.has_outlier(values)
    winsorized = [1.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 6.0]
    mean = sum(winsorized) / 8
    variance = sum((value - mean) ** 2 for value in winsorized) / 7
    reach = T_95[5] * math.sqrt(variance) / ((6 / 8) * math.sqrt(8))
    found = stats.interval(values)
    assert found.trimmed
    assert found.estimate == pytest.approx(3.5)
    assert (found.low, found.high) == pytest.approx((3.5 - reach, 3.5 + reach), rel=1e-4)


def test_too_few_sets_are_not_trimmed() -> None:
    assert not stats.interval([1.0, 1.1, 0.9, 100.0]).trimmed


@pytest.mark.parametrize("sets", [8, 10, 12, 16])
def test_trimming_hardly_makes_a_99_percent_interval_miss_more(sets: int) -> None:
    drawn = np.random.default_rng(3).normal(size=(40_000, sets))
    missed = sum(not stats.interval(values, 0.99).contains(0.0) for values in drawn)
    assert missed / len(drawn) < 0.0125


def test_a_wild_set_hardly_widens_an_interval() -> None:
    healthy = [0.99, 1.0, 1.01, 0.98, 1.02, 1.0, 0.99, 1.01]
    wild = stats.interval([*healthy[:-1], 1.5])
    assert wild.trimmed
    assert wild.half_width < 2 * stats.interval(healthy).half_width


def test_the_half_width_is_a_factor() -> None:
    found = stats.Interval(estimate=1.0, low=1 / 1.02, high=1.02, sets=3)
    assert found.half_width == pytest.approx(0.02)


def test_latency_is_the_geometric_mean_of_the_sets_medians() -> None:
    found = stats.latency(
        record({(0, 0): [1.0], (0, 1): [2.0], (0, 2): [9.0], (1, 0): [8.0], (1, 1): [8.0]})
    )
    assert found.estimate == pytest.approx(math.sqrt(2 * 8))
    assert found.sets == 2


def test_every_ratio_shown_is_among_those_that_must_be_precise() -> None:
    run = runs.small()
    group = [r for r in (*run.cells, *run.controls) if r.cell.group == runs.EAGER.group]
    pairs = {(own.cell.id, to.cell.id) for own, to in stats.ratios(group)}
    reference = runs.REFERENCE_EAGER.id
    assert pairs == {
        (f"{reference}/control", reference),
        (runs.EAGER.id, reference),
        (runs.COMPILED.id, reference),
        (runs.COMPILED.id, runs.UNVISITED.id),
        (runs.FAILED.id, reference),
        (runs.UNVISITED.id, reference),
    }
    assert math.isnan(stats.widest(group))  # one was never visited
    measured = [record for record in group if record.visits]
    assert stats.widest(measured) < 1e-9  # the drift in them is shared


DRAWS = 10_000
ROUND_SD, ROUNDS = 0.03, 8


def medians(random: np.random.Generator, sets: int, set_sd: float, *shape: int) -> Any:
    """Set medians of log-ratios whose truth is 0: processes differ, and rounds in them."""
    rounds = random.normal(0, ROUND_SD, (*shape, sets, ROUNDS))
    return random.normal(0, set_sd, (*shape, sets)) + np.median(rounds, axis=-1)


@pytest.mark.parametrize("sets", [3, 8])
@pytest.mark.parametrize("set_sd", [0.005, 0.02])
def test_a_95_percent_interval_holds_the_truth_in_95_of_100(sets: int, set_sd: float) -> None:
    drawn = medians(np.random.default_rng(1), sets, set_sd, DRAWS)
    covered = sum(stats.interval(values).contains(0.0) for values in drawn)
    assert 0.93 <= covered / DRAWS <= 0.97


@pytest.mark.parametrize("set_sd", [0.005, 0.015])
def test_adding_sets_until_it_is_precise_keeps_the_coverage(set_sd: float) -> None:
    least, most, ratios, precision = 3, 8, 3, 0.02
    random = np.random.default_rng(2)
    covered = 0
    draws = DRAWS // ratios
    for drawn in medians(random, most, set_sd, draws, ratios):
        for sets in range(least, most + 1):
            found = [stats.interval(values[:sets]) for values in drawn]
            if max(interval.high - interval.low for interval in found) <= 2 * precision:
                break
        covered += sum(interval.contains(0.0) for interval in found)
    assert 0.93 <= covered / (draws * ratios) <= 0.97


def test_a_correlation_is_as_rare_as_pearsons_test_says() -> None:
    random = np.random.default_rng(5)
    one, other = random.normal(size=(2, 9))
    other = other + 0.6 * one
    levels = [
        stats.correlation_level(dict(enumerate(a)), dict(enumerate(b)), least=5)
        for a, b in ((one, other), (other, one), (one, -other))
    ]
    assert levels == pytest.approx([pearsonr(one, other).pvalue] * 3)


def test_a_correlation_needs_sets_and_change() -> None:
    rising = {0: 1.0, 1: 2.0, 2: 3.0, 3: 4.0}
    assert stats.correlation_level(rising, rising, least=5) == 1
    assert stats.correlation_level(rising, dict.fromkeys(rising, 7.0), least=3) == 1
    assert stats.correlation_level(rising, rising, least=4) < 1e-9
