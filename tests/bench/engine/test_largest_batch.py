from dataclasses import replace

import pytest

from bench.engine import largest_batch
from bench.engine.largest_batch import MAX_BATCH_SIZE, RESOLUTION
from bench.engine.local.fitting import judge
from bench.records.record import Attempt, Fit
from tests.bench import runs


def attempts_for(largest: int) -> tuple[Attempt, ...]:
    return largest_batch.search(lambda size: Attempt(batch_size=size, fits=size <= largest))


@pytest.mark.parametrize("largest", [1, 2, 3, 5, 31, 32, 33, 63, 64, 65, 100, 1000, 1023, 12_345])
def test_the_largest_batch_is_underestimated_by_less_than_a_thirty_second(largest: int) -> None:
    attempts = attempts_for(largest)
    result = Fit(cell=runs.EAGER, attempts=attempts).largest
    assert result is not None
    assert largest - max(1, largest // RESOLUTION) < result.batch_size <= largest
    if largest < 2 * RESOLUTION:
        assert result.batch_size == largest
    sizes = [attempt.batch_size for attempt in attempts]
    assert len(set(sizes)) == len(sizes)
    assert len(sizes) <= largest.bit_length() + 1 + RESOLUTION.bit_length()


def test_sizes_double_and_never_exceed_twice_what_fits() -> None:
    sizes = [attempt.batch_size for attempt in attempts_for(100)]
    assert sizes[:8] == [1, 2, 4, 8, 16, 32, 64, 128]
    assert max(sizes) <= 2 * 100


def test_the_search_ends_at_the_maximum_batch_size() -> None:
    attempts = attempts_for(10**9)
    assert attempts[-1].batch_size == MAX_BATCH_SIZE
    assert Fit(cell=runs.EAGER, attempts=attempts).smallest_failed is None


def test_only_one_attempt_is_made_if_batch_size_1_does_not_fit() -> None:
    assert [attempt.batch_size for attempt in attempts_for(0)] == [1]
    assert Fit(cell=runs.EAGER, attempts=attempts_for(0)).largest is None


def test_an_error_other_than_memory_ends_the_search_without_an_upper_bound() -> None:
    def attempt(size: int) -> Attempt:
        is_error = size == 8
        reason = "no kernel for so large an index" if is_error else ""
        return Attempt(batch_size=size, fits=not is_error, reason=reason, is_error=is_error)

    result = Fit(cell=runs.EAGER, attempts=largest_batch.search(attempt))
    assert [item.batch_size for item in result.attempts] == [1, 2, 4, 8]
    assert result.largest == result.attempts[2]
    assert result.smallest_failed is None
    assert result.error == result.attempts[3]


def test_cells_that_differ_only_in_batch_size_are_searched_once() -> None:
    measured = (runs.EAGER, replace(runs.EAGER, batch_size=8), runs.COMPILED)
    assert largest_batch.cells(measured) == (runs.EAGER, runs.COMPILED)


@pytest.mark.parametrize(
    ("held_bytes", "limit_bytes", "fits"), [(5, None, True), (5, 5, True), (6, 5, False)]
)
def test_an_attempt_above_the_memory_limit_does_not_fit(
    held_bytes: int, limit_bytes: int | None, fits: bool
) -> None:
    attempt = judge(3, held_bytes * 2**20, limit_bytes and limit_bytes * 2**20)
    assert (attempt.batch_size, attempt.fits) == (3, fits)
    assert attempt.reason == ("" if fits else "it held 6 MiB; --memory allows 5 MiB")
