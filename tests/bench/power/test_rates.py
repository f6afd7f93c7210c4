import math
from collections.abc import Sequence

import pytest

from bench.gate import judge
from bench.gate.judge import History, Settings
from bench.gate.verdict import Verdict
from bench.power.cases import PROTOCOL, Case
from bench.power.rates import Rate, Series, gates, powers
from bench.power.sets import SetRow

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


def test_a_gate_takes_the_sets_it_needs_and_leaves_the_rest_to_the_next() -> None:
    found = list(gates(history([*SAME, *SLOWER, *SLOWER, *SAME]), Settings()))
    assert [judgement.verdict for judgement in found] == [
        Verdict.UNCHANGED,
        Verdict.REGRESSED,  # of six, the fewest that a change is named by
        Verdict.UNCHANGED,
    ]
    assert [judgement.sets for judgement in found] == [3, 6, 3]


def test_what_is_left_is_not_judged() -> None:
    assert list(gates(history(SLOWER), Settings())) == []


def test_a_gate_without_numbers_gives_up_undecided() -> None:
    (found,) = gates(history([math.nan] * judge.FIRST_LOOK), Settings())
    assert found.verdict is Verdict.INCONCLUSIVE


def test_cases_are_told_apart_by_what_was_added_and_by_series() -> None:
    same = Case(mode="eager", kind="none", percent=0.0)
    rows = [row(value, protocol="blocks") for value in SLOWER]
    rows += [row(math.nan, same, "loaded")]
    rows += [row(value) for value in SLOWER * 2]
    rows += [row(value, same) for value in SAME]
    found = {(power.series, power.case): power for power in powers(rows, Settings())}
    quiet, loaded, before = (
        Series("quiet", PROTOCOL),
        Series("loaded", PROTOCOL),
        Series("quiet", "blocks"),
    )
    # A/A first in each; what was, last.
    assert list(found) == [(quiet, same), (quiet, CASE), (loaded, same), (before, CASE)]
    assert found[quiet, CASE].rate(Verdict.REGRESSED) == Rate(count=1, of=1)
    assert found[quiet, same].rate(Verdict.UNCHANGED) == Rate(count=1, of=1)
    assert found[before, CASE].rate(Verdict.REGRESSED) == Rate(count=0, of=0)
    assert found[loaded, same].rate(Verdict.REGRESSED) == Rate(count=0, of=0)
    assert found[loaded, same].voided == 1
    assert found[quiet, CASE].effect.estimate == pytest.approx(math.exp(0.08))


@pytest.mark.parametrize(
    ("count", "of", "low", "high"),
    [
        (0, 20, 0.0, 1 - 0.025 ** (1 / 20)),
        (20, 20, 0.025 ** (1 / 20), 1.0),
        (0, 0, 0.0, 1.0),
    ],
)
def test_bounds_of_a_rate_have_a_closed_form_at_the_ends(
    count: int, of: int, low: float, high: float
) -> None:
    assert Rate(count=count, of=of).bounds == pytest.approx((low, high))
