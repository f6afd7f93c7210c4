import pytest

from bench.wave import covered_s


@pytest.mark.parametrize(
    ("spans", "expected"),
    [
        ([], 0.0),
        ([(1.0, 3.0)], 2.0),
        ([(5.0, 6.0), (1.0, 3.0)], 3.0),
        ([(1.0, 3.0), (2.0, 5.0)], 4.0),
        ([(1.0, 9.0), (2.0, 3.0), (8.0, 10.0)], 9.0),
    ],
    ids=["none", "one", "apart", "overlapping", "one inside another"],
)
def test_time_that_spans_share_is_counted_once(
    spans: list[tuple[float, float]], expected: float
) -> None:
    assert covered_s(spans) == expected
