"""A Ray cluster of several nodes on this machine; each node is a raylet of its own."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench.cells.plan import Plan
from bench.engine.hosts import ray as ray_hosts
from bench.engine.hosts.ray import SLOT, RayHost
from bench.engine.remote.process import variables_of_run
from bench.engine.run import Run
from bench.errors import RequestError
from bench.records import events, journal, store
from bench.records.outcome import Outcome
from tests.bench.engine.remote.direct import Sink, interrupts, keys, plan
from tests.bench.engine.running import Watcher, cell
from tests.warm.interpreter import COLD

ray = pytest.importorskip("ray", reason="ray is not installed: the extra ray")
pytestmark = [pytest.mark.slow, pytest.mark.workers]

ROOT = Path(__file__).resolve().parents[4]
NODE: dict[str, Any] = {"num_cpus": 1, "object_store_memory": 80 * 2**20}
REQUEST = plan(cell("works"), replace(cell("works"), mode="channels_last"), sets=2, rounds=3)
LONG = 200
EXPECTED = [(set_index, 0, round_index) for set_index in range(2) for round_index in range(3)]


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A cluster with a head that does not measure and two nodes that do."""
    from ray.cluster_utils import Cluster

    monkeypatch.setattr(sys, "executable", COLD)
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    started: Any = Cluster(
        initialize_head=True,
        head_node_args={**NODE, "num_cpus": 0, "include_dashboard": False},
    )
    for name in ("a", "b"):
        started.add_node(**NODE, resources={SLOT: 1}, labels={"kind": name})
    started.wait_for_nodes()
    try:
        yield started
    finally:
        started.shutdown()


@pytest.fixture
def address(cluster: Any) -> Iterator[str]:
    with ray_hosts.connected(cluster.address):
        yield cluster.address


def host(watcher: Watcher, request: Plan = REQUEST, **options: Any) -> RayHost:
    return RayHost(request, watcher, variables=variables_of_run(os.environ), **options)


@pytest.mark.usefixtures("address")
def test_sets_take_turns_on_the_nodes() -> None:
    watcher, sink = Watcher(), Sink()
    outcome = Run(REQUEST, host(watcher), watcher, begin=sink.begin).measure()
    assert outcome.status == "complete"
    for measured in REQUEST.cells:
        assert keys(outcome, measured) == EXPECTED
    began = [each.host for each in sink.events if isinstance(each, events.WaveBegan)]
    assert sorted(began) == ["ray-1", "ray-2"]
    assert Outcome.from_events(sink.events).records() == outcome.records()
    assert "OMP_NUM_THREADS" in outcome.environment.variables


@pytest.mark.usefixtures("address")
def test_labels_choose_the_nodes() -> None:
    chosen = host(Watcher(), labels={"kind": "b"})
    assert len(chosen.nodes()) == 1
    with pytest.raises(RequestError, match=f"no node with the resource {SLOT}, the label kind=c"):
        host(Watcher(), labels={"kind": "c"})


def test_a_set_of_a_removed_node_is_measured_again_on_the_other(cluster: Any, address: str) -> None:
    del address
    watcher = Watcher()
    nodes = {each.node_id: each for each in cluster.worker_nodes}
    request = replace(REQUEST, rounds=LONG)  # so that the set has not ended before its node
    measuring = host(watcher, request)
    names = {node.name: nodes[node.id] for node in measuring.nodes()}
    began: list[str] = []

    def remove(event: events.Event) -> None:
        if isinstance(event, events.WaveBegan):
            began.append(event.host)
        if isinstance(event, events.Visited) and event.set_index == 1 and len(began) == 2:
            cluster.remove_node(names[began[-1]], allow_graceful=False)
            began.append("removed")

    outcome = Run(request, measuring, watcher, begin=Sink(remove).begin).measure()
    assert outcome.status == "complete"
    first, lost, _, again = began
    assert first == again != lost
    expected = [
        (set_index, 0, round_index) for set_index in range(2) for round_index in range(LONG)
    ]
    for measured in request.cells:
        assert keys(outcome, measured) == expected
    (note,) = [note for note in outcome.notes if "measured again" in note]
    assert f"{lost}: the node was lost" in note


@pytest.mark.usefixtures("address")
def test_an_interrupted_run_is_resumed() -> None:
    watcher = Watcher()
    sink = interrupts(lambda each: isinstance(each, events.Visited) and each.set_index == 1)
    first = Run(REQUEST, host(watcher), watcher, begin=sink.begin).measure()
    assert first.status == "interrupted"
    judged = [each for each in sink.events if isinstance(each, events.RoundEnded)]
    assert {each.set_index for each in judged} == {0, 1}
    resumed = Outcome.from_events(sink.events)
    outcome = Run(REQUEST, host(watcher), watcher, resumed=resumed).measure()
    assert outcome.status == "complete"
    for measured in REQUEST.cells:
        assert keys(outcome, measured) == EXPECTED


def test_an_address_without_a_cluster_is_refused() -> None:
    with (
        pytest.raises(RequestError, match=r"--ray-address 127\.0\.0\.1:1: cannot connect"),
        ray_hosts.connected("127.0.0.1:1"),
    ):
        pass


def test_a_killed_command_is_resumed_on_the_cluster(cluster: Any, tmp_path: Path) -> None:
    """The command is what users type; nothing of it survives but the journal."""
    command = [COLD, "-m", "bench", "run", "--hosts=ray", f"--ray-address={cluster.address}"]
    command += ["--archs=tests.bench.broken:works", "--modes=eager,channels_last"]
    command += ["--batch-sizes=1,2", "--sets=2", "--rounds=3", "--precision=1", "--image-size=32"]
    command += ["--foreign-cpus=100", "--no-ceiling", f"--report-dir={tmp_path}", "--seed=1"]
    journal_file, output = tmp_path / journal.FILE, tmp_path / "output"
    with output.open("wb") as file:
        killed = subprocess.Popen(command, cwd=ROOT, stdout=file, stderr=file)
        while killed.poll() is None and not visits(journal_file):
            time.sleep(0.05)
        killed.kill()
        killed.wait()
    before = visits(journal_file)
    assert before, output.read_text()
    ended = subprocess.run([*command, "--resume"], cwd=ROOT, capture_output=True, check=False)
    assert ended.returncode == 0, ended.stdout.decode() + ended.stderr.decode()
    run = store.read(tmp_path / "run.json")
    assert run.status == "complete"
    for record in (*run.cells, *run.controls):
        assert [visit.key for visit in record.visits] == EXPECTED
        assert {visit.host for visit in record.visits} <= {"ray-1", "ray-2"}


def visits(journal_file: Path) -> int:
    """Return how many visits a journal has."""
    return journal_file.read_bytes().count(b'"Visited"') if journal_file.exists() else 0
