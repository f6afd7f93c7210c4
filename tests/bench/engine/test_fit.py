from dataclasses import replace

import pytest

from bench.engine import fit
from bench.engine.fit import MOST, RESOLUTION
from bench.engine.fitting import judged
from bench.records.record import Attempt, Fit
from tests.bench import runs


def tried(largest: int) -> tuple[Attempt, ...]:
    return fit.search(lambda size: Attempt(batch_size=size, fits=size <= largest))


@pytest.mark.parametrize("largest", [1, 2, 3, 5, 31, 32, 33, 63, 64, 65, 100, 1000, 1023, 12_345])
def test_the_largest_is_found_to_a_thirty_second_and_never_overstated(largest: int) -> None:
    attempts = tried(largest)
    found = Fit(cell=runs.EAGER, attempts=attempts).largest
    assert found is not None
    assert largest - max(1, largest // RESOLUTION) < found.batch_size <= largest
    if largest < 2 * RESOLUTION:
        assert found.batch_size == largest
    sizes = [attempt.batch_size for attempt in attempts]
    assert len(set(sizes)) == len(sizes)
    assert len(sizes) <= largest.bit_length() + 1 + RESOLUTION.bit_length()


def test_it_goes_up_by_doubling_and_never_past_twice_what_fits() -> None:
    sizes = [attempt.batch_size for attempt in tried(100)]
    assert sizes[:8] == [1, 2, 4, 8, 16, 32, 64, 128]
    assert max(sizes) <= 2 * 100


def test_what_always_fits_is_not_tried_forever() -> None:
    attempts = tried(10**9)
    assert attempts[-1].batch_size == MOST
    assert Fit(cell=runs.EAGER, attempts=attempts).smallest_failed is None


def test_what_never_fits_is_tried_once() -> None:
    assert [attempt.batch_size for attempt in tried(0)] == [1]
    assert Fit(cell=runs.EAGER, attempts=tried(0)).largest is None


def test_what_fails_for_another_reason_than_memory_says_nothing_of_what_fits() -> None:
    def attempt(size: int) -> Attempt:
        is_error = size == 8
        reason = "no kernel for so large an index" if is_error else ""
        return Attempt(batch_size=size, fits=not is_error, reason=reason, is_error=is_error)

    found = Fit(cell=runs.EAGER, attempts=fit.search(attempt))
    assert [one.batch_size for one in found.attempts] == [1, 2, 4, 8]
    assert found.largest == found.attempts[2]
    assert found.smallest_failed is None
    assert found.error == found.attempts[3]


def test_a_batch_size_is_not_looked_for_twice() -> None:
    measured = (runs.EAGER, replace(runs.EAGER, batch_size=8), runs.COMPILED)
    assert fit.cells(measured) == (runs.EAGER, runs.COMPILED)


@pytest.mark.parametrize(
    ("held_bytes", "limit_bytes", "fits"), [(5, None, True), (5, 5, True), (6, 5, False)]
)
def test_what_holds_more_than_it_may_does_not_fit(
    held_bytes: int, limit_bytes: int | None, fits: bool
) -> None:
    attempt = judged(3, held_bytes * 2**20, limit_bytes and limit_bytes * 2**20)
    assert (attempt.batch_size, attempt.fits) == (3, fits)
    assert attempt.reason == ("" if fits else "it held 6 MiB of 5 MiB (--memory)")
