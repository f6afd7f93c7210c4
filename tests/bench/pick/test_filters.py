import pytest

from bench.pick import filters
from bench.pick.candidate import Candidate, Cause, Dropped, Limits, remaining
from bench.records.reported import ArchCost, Ceiling, ProbeRate
from tests.bench.pick.figures import candidate, cost

LIMITS = Limits(latency_s=0.020, accuracy=75.0, params=30e6)
RATE = 100e9  # the best of two, in multiply-accumulates per second
CEILINGS = {
    "fp32": Ceiling(
        probes=(
            ProbeRate(kind="product", size="small", mac_per_s=RATE / 2),
            ProbeRate(kind="convolution", size="large", mac_per_s=RATE),
        )
    )
}


def counted(arch_cost: ArchCost, batch_size: int = 1) -> Candidate:
    of = candidate("a", 80.0, batch_size=batch_size)
    (result,) = filters.by_counts([of], {"a": arch_cost}, CEILINGS, LIMITS)
    return result


def test_less_accuracy_than_asked_for_is_dropped() -> None:
    found = filters.by_accuracy(
        [candidate("a", 74.96), candidate("b", 75.0), candidate("c")], LIMITS
    )
    assert [each.cell.arch for each in remaining(found)] == ["b"]
    assert [each.dropped and each.dropped.why for each in found] == [
        "its accuracy is 74.96 %, below 75 %",
        None,
        "its accuracy is unknown",
    ]


def test_an_unknown_accuracy_stays_if_none_is_asked_for() -> None:
    of = [candidate("a", 10.0), candidate("c")]
    assert filters.by_accuracy(of, Limits(latency_s=1.0)) == of


def test_what_is_dropped_stays_as_it_is() -> None:
    of = [candidate("a", 10.0).drop(1, Cause.NOT_INSTALLED, "needs timm")]
    assert filters.by_accuracy(of, LIMITS) == of
    assert filters.by_counts(of, {}, {}, LIMITS) == of


def test_an_arch_that_cannot_be_built_is_dropped_in_all_modes() -> None:
    of = [candidate("a"), candidate("a", mode="channels_last"), candidate("b")]
    found = filters.failed(of, "a", "its factory raised")
    assert [each.cell.arch for each in remaining(found)] == ["b"]
    assert found[1].dropped == Dropped(
        step=1, cause=Cause.FAILED, why="it failed: its factory raised"
    )


def test_too_many_parameters_are_dropped() -> None:
    assert counted(cost(params=30_000_000)).dropped is None
    assert counted(cost(params=30_100_000)).dropped == Dropped(
        step=1, cause=Cause.PARAMS, why="it has 30,100,000 parameters, more than 30,000,000"
    )


@pytest.mark.parametrize(("batch_size", "is_dropped"), [(1, False), (2, False), (3, True)])
def test_a_batch_that_the_peak_rate_cannot_do_in_time_is_dropped(
    batch_size: int, is_dropped: bool
) -> None:
    found = counted(cost(macs=1_000_000_000), batch_size)
    assert found.least_s == pytest.approx(batch_size * 0.010)
    why = (
        "the estimate of its least latency, at this machine's peak rate, is 30.0 ms, more than "
        "1.25 times 20.0 ms"
    )
    assert found.dropped == (Dropped(step=1, cause=Cause.CEILING, why=why) if is_dropped else None)


@pytest.mark.parametrize(("macs", "is_dropped"), [(2_480_000_000, False), (2_520_000_000, True)])
def test_the_peak_rate_is_measured_once_so_it_drops_with_a_margin(
    macs: int, is_dropped: bool
) -> None:
    assert (counted(cost(macs=macs)).dropped is not None) is is_dropped


def test_what_is_unknown_drops_nothing() -> None:
    uncounted = counted(ArchCost(error="no formula"))
    assert (uncounted.dropped, uncounted.least_s) == (None, None)
    of = [candidate("a", 80.0)]
    (found,) = filters.by_counts(of, {"a": cost(macs=10**12)}, {}, LIMITS)
    assert (found.dropped, found.least_s) == (None, None)


def test_what_was_dropped_keeps_its_first_reason() -> None:
    dropped, other = candidate("a").drop(1, Cause.ACCURACY, "first"), candidate("b")
    found = filters.failed([dropped, candidate("a"), other], "a", "it cannot be built")
    assert found[0] == dropped
    assert found[1].dropped is not None
    assert found[1].dropped.why == "it failed: it cannot be built"
    assert found[2] == other
