import pytest

from bench.engine import allocation


@pytest.mark.parametrize(("effort", "expected"), [(1.0, 20), (2.0, 40)])
def test_a_set_measures_for_a_multiple_of_what_it_took_to_start(
    effort: float, expected: int
) -> None:
    assert allocation.rounds(effort, set_s=6.0, round_s=0.3, workers=7) == expected


@pytest.mark.parametrize(
    ("set_s", "round_s", "expected"),
    [
        (0.0, 1.0, allocation.LEAST),
        (6.0, 60.0, allocation.LEAST),
        (6.0, 0.0, allocation.MOST),
        (6.0, 1e-5, allocation.MOST),
    ],
)
def test_there_are_bounds(set_s: float, round_s: float, expected: int) -> None:
    assert allocation.rounds(1.0, set_s=set_s, round_s=round_s, workers=99) == expected


def test_a_slow_start_counts_in_part() -> None:
    found = allocation.rounds(1.0, set_s=100.0, round_s=0.5, workers=7)
    assert found == round(7 * allocation.MOST_START_S / 0.5)
