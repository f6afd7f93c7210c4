import pytest

from bench import means
from bench.gate.verdict import FAILED, Judgement, Verdict, exit_code

REGRESSED, IMPROVED, UNCHANGED, INCONCLUSIVE = Verdict


def judgement(verdict: Verdict | None) -> Judgement:
    return Judgement(verdict=verdict, interval=means.NO_INTERVAL, sets=0)


@pytest.mark.parametrize(
    ("verdicts", "code"),
    [
        ([UNCHANGED, IMPROVED], 0),
        ([UNCHANGED, REGRESSED], 1),
        ([UNCHANGED, INCONCLUSIVE], 3),
        ([INCONCLUSIVE, REGRESSED, IMPROVED], 1),
        ([INCONCLUSIVE, FAILED], 1),
        ([], 3),
    ],
)
def test_a_regression_takes_precedence_over_an_undecided_cell(
    verdicts: list[str], code: int
) -> None:
    assert exit_code(verdicts) == code


def test_only_an_open_cell_needs_another_set() -> None:
    assert judgement(None).needs_set
    assert not judgement(INCONCLUSIVE).needs_set
