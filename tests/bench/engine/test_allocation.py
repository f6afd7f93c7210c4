import pytest

from bench.engine import allocation


def test_a_set_measures_for_as_long_as_it_took_to_start() -> None:
    assert allocation.rounds(1.0, importing_s=0.0, set_s=6.0, round_s=0.3, workers=7) == 20
    assert allocation.rounds(1.0, importing_s=3.0, set_s=6.0, round_s=0.3, workers=7) == 30
    assert allocation.rounds(0.5, importing_s=3.0, set_s=6.0, round_s=0.3, workers=7) == 15


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
    found = allocation.rounds(1.0, importing_s=0.0, set_s=set_s, round_s=round_s, workers=99)
    assert found == expected


def test_a_slow_start_counts_in_part() -> None:
    found = allocation.rounds(1.0, importing_s=60.0, set_s=100.0, round_s=0.5, workers=7)
    assert found == round((allocation.MOST_IMPORT_S + 7 * allocation.MOST_START_S) / 0.5)
