import math

import pytest

from bench.studies.changes import cases
from bench.studies.changes.cases import AFTER, RUNS, Truth


def test_each_case_has_the_runs_and_changes_that_it_says() -> None:
    assert {len(case.logs) for case in cases.CASES} == {RUNS}
    assert cases.UNCHANGED.truths == cases.WATCHED.truths == ()
    by_name = {(case.name, case.percent): case for case in cases.STEPS}
    assert by_name["recent", 5.0].truths == (Truth(index=RUNS - AFTER, is_up=True),)
    assert by_name["fixed", -5.0].truths == (
        Truth(index=20, is_up=False),
        Truth(index=30, is_up=True),
    )


@pytest.mark.parametrize("case", cases.STEPS)
def test_up_and_down_are_equally_large_on_the_scale_of_logarithms(case: cases.Case) -> None:
    largest = max(case.logs, key=abs)
    assert abs(largest) == pytest.approx(math.log1p(abs(case.percent) / 100))
    assert (largest > 0) == (case.percent > 0)
