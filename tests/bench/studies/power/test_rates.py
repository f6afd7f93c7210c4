import math
from collections.abc import Sequence

import pytest

from bench.gate import group_sequential
from bench.gate.group_sequential import History, Settings
from bench.gate.verdict import Verdict
from bench.studies.power.cases import PROTOCOL, Case
from bench.studies.power.rates import Rate, Series, gates, powers
from bench.studies.power.sets import SetRow

SAME = [0.001, -0.001, 0.000]
SLOWER = [0.080, 0.081, 0.079]
CASE = Case(mode="eager", kind="conv", percent=8.0)


def row(
    log_ratio: float, case: Case = CASE, load: str = "quiet", protocol: str = PROTOCOL
) -> SetRow:
    return SetRow(
        began="2026-01-01T00:00:00+00:00",
        load=load,
        mode=case.mode,
        kind=case.kind,
        percent=case.percent,
        amount=7,
        rounds=20,
        protocol=protocol,
        log_ratio=log_ratio,
        base_s=0.05,
        torch="2.11.0",
        tail_log_ratio=log_ratio,
    )


def history(sets: Sequence[float]) -> History:
    return History(sets, sets)


def test_each_gate_takes_as_many_sets_as_it_needs() -> None:
    judgements = list(gates(history([*SAME, *SLOWER, *SLOWER, *SAME]), Settings()))
    assert [judgement.verdict for judgement in judgements] == [
        Verdict.UNCHANGED,
        Verdict.REGRESSED,  # a change needs at least six sets
        Verdict.UNCHANGED,
    ]
    assert [judgement.sets for judgement in judgements] == [3, 6, 3]


def test_coverage_counts_the_intervals_of_disjoint_groups_that_contain_1() -> None:
    apart = [0.010, 0.011, 0.012]  # an interval of three values with this spread excludes 0
    (power,) = powers([row(value) for value in (*SAME, *apart, math.nan, *SAME, 0.0)], Settings())
    assert power.coverage(3) == Rate(count=2, total=3)
    assert power.coverage(10) == Rate(count=1, total=1)
    assert power.coverage(11) == Rate(count=0, total=0)


def test_remaining_sets_are_not_judged() -> None:
    assert list(gates(history(SLOWER), Settings())) == []


def test_a_gate_without_log_ratios_is_inconclusive() -> None:
    (judgement,) = gates(history([math.nan] * group_sequential.FIRST_LOOK), Settings())
    assert judgement.verdict is Verdict.INCONCLUSIVE


def test_sets_are_pooled_by_case_and_series() -> None:
    same = Case(mode="eager", kind="none", percent=0.0)
    rows = [row(value, protocol="blocks") for value in SLOWER]
    rows += [row(math.nan, same, "loaded")]
    rows += [row(value) for value in SLOWER * 2]
    rows += [row(value, same) for value in SAME]
    results = {(power.series, power.case): power for power in powers(rows, Settings())}
    quiet, loaded, outdated = (
        Series("quiet", PROTOCOL),
        Series("loaded", PROTOCOL),
        Series("quiet", "blocks"),
    )
    # A/A comes first in a series, and earlier protocols come last.
    assert list(results) == [(quiet, same), (quiet, CASE), (loaded, same), (outdated, CASE)]
    assert results[quiet, CASE].rate(Verdict.REGRESSED) == Rate(count=1, total=1)
    assert results[quiet, same].rate(Verdict.UNCHANGED) == Rate(count=1, total=1)
    assert results[outdated, CASE].rate(Verdict.REGRESSED) == Rate(count=0, total=0)
    assert results[loaded, same].rate(Verdict.REGRESSED) == Rate(count=0, total=0)
    assert results[loaded, same].voided == 1
    assert results[quiet, CASE].effect.estimate == pytest.approx(math.exp(0.08))


@pytest.mark.parametrize(
    ("count", "total", "low", "high"),
    [
        (0, 20, 0.0, 1 - 0.025 ** (1 / 20)),
        (20, 20, 0.025 ** (1 / 20), 1.0),
        (0, 0, 0.0, 1.0),
    ],
)
def test_bounds_match_the_closed_form_at_zero_and_at_the_total(
    count: int, total: int, low: float, high: float
) -> None:
    assert Rate(count=count, total=total).bounds == pytest.approx((low, high))
