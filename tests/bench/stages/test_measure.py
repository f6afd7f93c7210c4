import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from bench.cells.plan import Plan
from bench.errors import RequestError
from bench.launch.launchers import ForkServer, Launcher
from bench.machine import cpu, pinned
from bench.machine.load import LoadMeter, SystemMeter
from bench.stages import measure, store, table
from bench.stages.figures import NetworkFigures
from bench.stages.measure import StagesRun
from tests.bench import runs
from tests.bench.engine import running
from tests.bench.engine.running import Busy, Quiet, Watcher
from tests.bench.stages import nets

pytestmark = pytest.mark.workers

SIZE = 32
SETS, ROUNDS = 2, 2


@pytest.fixture(scope="module")
def launcher() -> Iterator[Launcher]:
    with ForkServer(pinned.for_workers(os.environ), module="bench.stages.worker") as server:
        yield server


def plan(*factories: str, sets: int = SETS, **overrides: Any) -> Plan:
    cells = (replace(runs.EAGER, arch=f"tests.bench.{factory}") for factory in factories)
    return running.plan(*cells, sets=sets, rounds=ROUNDS, **{"image_size": SIZE, **overrides})


def measured(
    launcher: Launcher, to_measure: Plan, *, meter: LoadMeter | None = None
) -> tuple[StagesRun, Watcher]:
    """Return what was measured and the observed progress; by default without foreign load."""
    watcher = Watcher()
    return measure.measure(to_measure, launcher, watcher, meter=meter or Quiet()), watcher


@pytest.fixture(scope="module")
def run(launcher: Launcher) -> StagesRun:
    names = ("plain", "sleeps", "uncalled", "rewritten")
    return measured(launcher, plan(*(f"stages.nets:{name}" for name in names), "broken:is_killed"))[
        0
    ]


def of(run: StagesRun, name: str) -> NetworkFigures:
    (network,) = [each for each in run.networks if each.cell.arch.endswith(f":{name}")]
    return network


def test_networks_are_measured_in_sets_of_fresh_workers(run: StagesRun) -> None:
    plain, sleeps = (of(run, name) for name in ("plain", "sleeps"))
    for network in (plain, sleeps):
        assert network.macs.image_size == SIZE
        assert network.provenance.torch.startswith(version("torch"))
        assert network.provenance.device_name == cpu.describe().cpu
        age = datetime.now(UTC) - datetime.fromisoformat(network.provenance.measured_at)
        assert timedelta(0) < age < timedelta(minutes=10)
        assert network.macs.whole == nets.conv_macs(SIZE) + nets.FC_MACS
        assert len(network.sets) == SETS
        for of_set in network.sets:
            assert list(of_set.parts_s) == [("conv", ""), ("middle", ""), ("fc", "")]
            assert of_set.pair_s > 0
    for of_set in sleeps.sets:
        assert of_set.parts_s["middle", ""] >= nets.SLEEP_S
        assert of_set.parts_s["middle", ""] > of_set.whole_s / 2


def test_child_that_is_never_called_is_not_a_stage(run: StagesRun) -> None:
    network = of(run, "uncalled")
    assert network.macs.parts["aside", ""] == 0
    assert ("aside", "") not in network.sets[0].parts_s


def test_networks_without_figures_are_named_with_the_reason(run: StagesRun) -> None:
    rewritten, killed = run.errors
    assert "nets:rewritten at 32×32: eager does not call conv as a module" in rewritten
    assert "broken:is_killed at 32×32: measuring: the worker was killed by SIGKILL" in killed
    assert len(run.networks) == 3


@pytest.mark.parametrize(
    ("factory", "part"),
    [
        ("factories:not_a_network", "at 32×32: .* returned dict, not an nn.Module"),
        ("broken:raises_when_built", "RuntimeError: no such weights"),
    ],
)
def test_networks_that_cannot_be_counted_are_refused_with_the_reason(
    launcher: Launcher, factory: str, part: str
) -> None:
    with pytest.raises(RequestError, match=rf"tests\.bench\.{factory}.*{part}"):
        measured(launcher, plan(factory))


def test_voided_rounds_are_repeated_and_told(launcher: Launcher) -> None:
    run, watcher = measured(launcher, plan("stages.nets:plain", sets=1), meter=Busy([True, False]))
    assert len(of(run, "plain").sets) == 1
    assert run.errors == ()
    (first, last) = watcher.judgements
    assert first[:2] == (ROUNDS, ROUNDS)
    assert first[2].startswith("other processes use 0.95 CPUs, allowed 0.15")
    assert last == (ROUNDS, 2 * ROUNDS, "")


def test_a_busy_process_ends_the_run_after_a_set(launcher: Launcher) -> None:
    """The rounds of this network take a second, so that the load is judged reliably."""
    with busy_process():
        run, watcher = measured(launcher, plan("stages.nets:sleeps", sets=3), meter=SystemMeter())
    assert run.networks == ()
    no_round, ended = run.errors
    assert "nets:sleeps at 32×32: no round of it is valid" in no_round
    assert ended == "every round of a set was voided; the figures are from 0 of 3 sets"
    (note,) = watcher.notes
    assert note.startswith(f"The run ended early, because all {2 * ROUNDS} rounds of set 1 were")
    assert "--foreign-cpus" in note


@contextmanager
def busy_process() -> Iterator[None]:
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as process:
        try:
            yield
        finally:
            process.kill()


def test_networks_with_inputs_of_their_own_have_no_image_size(
    launcher: Launcher, tmp_path: Path
) -> None:
    run, _ = measured(launcher, plan("own_inputs:grey", sets=1, image_size=None))
    grey = of(run, "grey")
    assert grey.macs.image_size is None
    assert grey.macs.whole == 28 * 28 * 4 * 9 + 4 * 10
    rows = table.frame([grey])
    assert "×" not in table.render("markdown", rows).splitlines()[0]
    store.write(rows, tmp_path)
    assert store.read(tmp_path / store.FILE)["image_size"].isna().all()
