"""Slurm, with the executor of submitit that runs jobs on this machine."""

import os
import sys
from pathlib import Path

import pytest

from bench.engine.hosts.slurm import SlurmHost
from bench.engine.remote.process import variables_of_run
from bench.engine.run import Run
from bench.errors import RequestError
from bench.records import events
from bench.records.outcome import Outcome
from tests.bench.engine.remote.direct import interrupts, keys, plan
from tests.bench.engine.running import Watcher, cell
from tests.warm.interpreter import COLD

pytest.importorskip("submitit", reason="submitit is not installed: the extra slurm")
REQUEST = plan(cell("works"), rounds=4)


@pytest.fixture(autouse=True)
def _cold(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let submitit start the interpreter itself."""
    monkeypatch.setattr(sys, "executable", COLD)


def host(folder: Path, watcher: Watcher, cluster: str = "local") -> SlurmHost:
    variables = variables_of_run(os.environ)
    return SlurmHost(REQUEST, watcher, folder=folder, variables=variables, cluster=cluster)


def test_without_slurm_the_request_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="run it on a machine that submits to Slurm"):
        host(tmp_path, Watcher(), "slurm")


@pytest.mark.workers
@pytest.mark.slow
def test_a_run_is_interrupted_and_resumed_in_jobs(tmp_path: Path) -> None:
    watcher = Watcher()
    sink = interrupts(lambda each: isinstance(each, events.Visited) and each.round_index == 1)
    first = Run(REQUEST, host(tmp_path, watcher), watcher, begin=sink.begin).measure()
    assert first.status == "interrupted"
    judged = {each.round_index for each in sink.events if isinstance(each, events.RoundEnded)}
    assert judged >= {1}
    resumed = Outcome.from_events(sink.events)
    outcome = Run(REQUEST, host(tmp_path, watcher), watcher, resumed=resumed).measure()
    assert outcome.status == "complete"
    assert keys(outcome, REQUEST.cells[0]) == [(0, 0, index) for index in range(4)]
    assert {visit.host for record in outcome.records() for visit in record.visits} == {"slurm"}
    assert not list(tmp_path.glob("job-*"))  # what is left are submitit's own logs
