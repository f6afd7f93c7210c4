from collections.abc import Mapping
from dataclasses import replace

import pytest

from bench.engine.launch import Launcher
from bench.engine.run import Run
from bench.records.record import CellRecord, RunRecord, Visit
from bench.selfcheck import startup
from tests.bench import runs
from tests.bench.engine.running import Quiet, Watcher

SECONDS: Mapping[str, float] = {
    "importing": 8.0,
    "counting": 4.0,
    "preparing": 2.0,
    "measuring": 5.0,
    "idling": 1.0,
}


def visited(of: CellRecord, latency_s: float) -> CellRecord:
    return replace(of, visits=(Visit(set_index=0, round_index=0, host_s=(latency_s,)),))


def set_of(*latencies_s: float) -> RunRecord:
    """One set, whose last worker is the control."""
    *cells, control = (visited(CellRecord(cell=runs.EAGER), latency) for latency in latencies_s)
    control = replace(control, cell=replace(runs.EAGER, control=True))
    return replace(runs.small(), cells=tuple(cells), controls=(control,), phases_s=SECONDS)


def test_a_sets_wall_time_is_all_but_what_is_done_once() -> None:
    found = startup.summarize("forked", [set_of(1.0, 1.0), set_of(1.0, 1.0)])
    assert found.set_s == (8.0, 8.0)
    assert found.measuring_s == (5.0, 5.0)
    assert found.importing_s == 8.0
    assert found.workers == 2


def test_the_sd_is_that_of_the_ratio_of_two_workers_whichever_comes_first() -> None:
    e = 2.718281828459045
    found = startup.summarize("forked", [set_of(1.0, e**0.03, e**-0.04), set_of(1.0, 1.0, e**0.06)])
    assert found.aa_log_ratios[0] == pytest.approx((-0.03, 0.04))
    first = (0.03**2 + 0.03 * 0.04 + 0.04**2) / 3  # of 0, -0.03 and 0.04, about their mean
    second = 0.06**2 / 3  # of 0, 0 and -0.06
    assert found.aa_sd == pytest.approx((first + second) ** 0.5)
    again = startup.summarize("forked", [set_of(e**0.03, 1.0, e**-0.04), set_of(e**0.06, 1.0, 1.0)])
    assert again.aa_sd == pytest.approx(found.aa_sd)


def test_workers_that_are_the_same_have_no_sd() -> None:
    assert startup.summarize("fresh", [set_of(2.0, 2.0, 2.0)]).aa_sd == 0.0


def test_each_way_is_measured_in_turn(
    fork_server: Launcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(startup, "ARCHS", ("tests.bench.tiny:net", "tests.bench.factories:tiny"))
    monkeypatch.setattr(startup, "Run", lambda *given: Run(*given, meter=Quiet()))
    monkeypatch.setattr(fork_server, "close", lambda: None)  # other tests use it too
    watcher = Watcher()
    small = replace(startup.plan("cpu", seed=3), image_size=32, rounds=2)
    ways = {"one": lambda: fork_server, "other": lambda: fork_server}
    one, other = startup.measure(ways, small, 2, watcher)
    assert [one.way, other.way] == ["one", "other"]
    for found in (one, other):
        assert found.workers == 3  # two, and the control
        assert len(found.set_s) == 2
        assert [len(ratios) for ratios in found.aa_log_ratios] == [2, 2]
        assert min(found.measuring_s) > 0
