import pytest

from bench.launch import timeouts
from bench.launch.launchers import Launcher
from tests.bench.engine.running import Watcher, cell, plan, run, visited


@pytest.mark.parametrize(
    ("expected_s", "limit_s"), [(0.0, 60.0), (0.2, 60.0 + 4.0), (15.0, 60.0 + 300.0)]
)
def test_a_visit_may_take_twenty_times_its_expected_time_plus_a_minute(
    expected_s: float, limit_s: float
) -> None:
    assert timeouts.visit_timeout_s(expected_s) == limit_s


@pytest.mark.parametrize(
    ("factory", "limit", "phase"),
    [
        ("hangs_when_built", "PREPARE_S", "preparing"),
        ("hangs_when_warmed_up", "WARM_UP_S", "warming up"),
    ],
)
def test_a_worker_that_hangs_before_its_first_visit_fails_only_its_own_cell(
    fork_server: Launcher,
    monkeypatch: pytest.MonkeyPatch,
    factory: str,
    limit: str,
    phase: str,
) -> None:
    monkeypatch.setattr(timeouts, limit, 10.0)
    monkeypatch.setattr(timeouts, "SHORT_S", 30.0)  # counting builds the network, too
    works, hangs, watcher = cell("works"), cell(factory), Watcher()
    outcome = run(plan(works, hangs, sets=2, rounds=1), fork_server, watcher).measure()
    failure = watcher.failures[factory]
    assert (failure.kind, failure.phase, failure.set_index) == ("timeout", phase, 0)
    assert failure.message == "no answer within 10 s; it was killed"
    assert visited(outcome, works) == [(0, 0), (1, 0)]
    assert visited(outcome, hangs) == []
