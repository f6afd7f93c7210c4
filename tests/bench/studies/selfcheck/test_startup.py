from collections.abc import Mapping
from dataclasses import replace
from functools import partial

import pytest

from bench.engine.hosts.local import LocalHost
from bench.launch.launchers import Launcher
from bench.records.record import CellRecord, RunRecord, Visit
from bench.studies.selfcheck import startup
from tests.bench import runs
from tests.bench.engine.running import Quiet, Watcher

pytestmark = pytest.mark.workers

SECONDS: Mapping[str, float] = {
    "importing": 8.0,
    "counting": 4.0,
    "preparing": 2.0,
    "measuring": 5.0,
    "idling": 1.0,
}


def with_visit(record: CellRecord, latency_s: float) -> CellRecord:
    return replace(record, visits=(Visit(set_index=0, round_index=0, host_s=(latency_s,)),))


def set_of(*latencies_s: float) -> RunRecord:
    """Return a run of one set; the last worker is the control."""
    *cells, control = (with_visit(CellRecord(cell=runs.EAGER), latency) for latency in latencies_s)
    control = replace(control, cell=replace(runs.EAGER, control=True))
    return replace(runs.small(), cells=tuple(cells), controls=(control,), phases_s=SECONDS)


def test_a_sets_wall_time_excludes_phases_that_happen_once() -> None:
    result = startup.summarize("forked", [set_of(1.0, 1.0), set_of(1.0, 1.0)])
    assert result.set_s == (8.0, 8.0)
    assert result.measuring_s == (5.0, 5.0)
    assert result.importing_s == 8.0
    assert result.workers == 2


def test_the_sd_of_a_ratio_does_not_depend_on_the_order_of_workers() -> None:
    e = 2.718281828459045
    result = startup.summarize(
        "forked", [set_of(1.0, e**0.03, e**-0.04), set_of(1.0, 1.0, e**0.06)]
    )
    assert result.aa_log_ratios[0] == pytest.approx((-0.03, 0.04))
    first = (0.03**2 + 0.03 * 0.04 + 0.04**2) / 3  # variance of 0, -0.03 and 0.04
    second = 0.06**2 / 3  # variance of 0, 0 and -0.06
    assert result.aa_sd == pytest.approx((first + second) ** 0.5)
    reordered = startup.summarize(
        "forked", [set_of(e**0.03, 1.0, e**-0.04), set_of(e**0.06, 1.0, 1.0)]
    )
    assert reordered.aa_sd == pytest.approx(result.aa_sd)


def test_the_sd_of_equal_workers_is_zero() -> None:
    assert startup.summarize("fresh", [set_of(2.0, 2.0, 2.0)]).aa_sd == 0.0


def test_each_way_is_measured_in_turn(
    fork_server: Launcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(startup, "ARCHS", ("tests.bench.tiny:net", "tests.bench.factories:tiny"))
    monkeypatch.setattr(startup, "LocalHost", partial(LocalHost, meter=Quiet()))
    monkeypatch.setattr(fork_server, "close", lambda: None)  # other tests use it too
    watcher = Watcher()
    small = replace(startup.plan("cpu", seed=3), image_size=32, rounds=2)
    ways = {"one": lambda: fork_server, "other": lambda: fork_server}
    first, second = startup.measure(ways, small, 2, watcher)
    assert [first.way, second.way] == ["one", "other"]
    for result in (first, second):
        assert result.workers == 3  # two and the control
        assert len(result.set_s) == 2
        assert [len(ratios) for ratios in result.aa_log_ratios] == [2, 2]
        assert min(result.measuring_s) > 0
