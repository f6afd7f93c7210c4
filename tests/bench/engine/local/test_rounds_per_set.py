import pytest

from bench.engine.local import rounds_per_set


def test_a_set_measures_for_effort_times_its_start_time() -> None:
    assert rounds_per_set.rounds(1.0, importing_s=0.0, set_s=6.0, round_s=0.3, workers=7) == 20
    assert rounds_per_set.rounds(1.0, importing_s=3.0, set_s=6.0, round_s=0.3, workers=7) == 30
    assert rounds_per_set.rounds(0.5, importing_s=3.0, set_s=6.0, round_s=0.3, workers=7) == 15


@pytest.mark.parametrize(
    ("set_s", "round_s", "expected"),
    [
        (0.0, 1.0, rounds_per_set.MIN_ROUNDS),
        (6.0, 60.0, rounds_per_set.MIN_ROUNDS),
        (6.0, 0.0, rounds_per_set.MAX_ROUNDS),
        (6.0, 1e-5, rounds_per_set.MAX_ROUNDS),
    ],
)
def test_the_number_of_rounds_is_bounded(set_s: float, round_s: float, expected: int) -> None:
    rounds = rounds_per_set.rounds(1.0, importing_s=0.0, set_s=set_s, round_s=round_s, workers=99)
    assert rounds == expected


def test_a_slow_start_counts_only_up_to_a_limit() -> None:
    rounds = rounds_per_set.rounds(1.0, importing_s=60.0, set_s=100.0, round_s=0.5, workers=7)
    assert rounds == round((rounds_per_set.MAX_IMPORT_S + 7 * rounds_per_set.MAX_START_S) / 0.5)
