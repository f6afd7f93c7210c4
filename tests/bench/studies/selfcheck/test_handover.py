from dataclasses import replace

import pytest

from bench.launch.launchers import Launcher
from bench.studies.selfcheck import handover
from tests.bench import runs


def test_first_iterations_are_compared_with_those_after_the_second() -> None:
    result = handover.summarize(0.005, [[1.5, 1.25, 1.0, 1.0, 1.0]])
    assert (result.first, result.second) == pytest.approx((0.5, 0.25))
    assert result.pause_s == 0.005


def test_the_median_over_visits_is_used() -> None:
    visits = [[2.0, 1.0, 1.0], [22.0, 11.0, 10.0], [900.0, 500.0, 100.0]]
    result = handover.summarize(None, visits)
    assert result.first == pytest.approx(1.2)  # median of 1.0, 1.2 and 8.0
    assert result.second == pytest.approx(0.1)  # median of 0, 0.1 and 4


def test_workers_are_visited_with_every_pause(
    fork_server: Launcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handover, "VISITS", 2)
    monkeypatch.setattr(handover, "IDLE_S", 0.05)
    monkeypatch.setattr(handover, "IMAGE_SIZE", 32)
    cells = [
        replace(runs.EAGER, arch=f"tests.bench.{arch}") for arch in ("tiny:net", "factories:tiny")
    ]
    results, idleness = handover.measure(cells, fork_server, seed=1)
    assert [result.pause_s for result in results] == [None, *handover.PAUSES_S]
    assert idleness.workers == 2
    assert idleness.exchange_s > 0
    assert idleness.cpu_share >= 0
