import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path

import psutil
import pytest

from bench.cells.cell import Cell
from bench.launch.launchers import Launcher, Spawner
from bench.machine import cpu, environment
from bench.names import RequestError
from bench.stages import measure, store, table
from bench.stages.measure import Request
from tests.bench import runs
from tests.bench.engine.running import Quiet, Watcher
from tests.bench.stages import nets

pytestmark = pytest.mark.workers

SIZE = 32
SETS = 2


@pytest.fixture(scope="module")
def spawner() -> Launcher:
    return Spawner(environment.for_workers(os.environ), module="bench.stages.worker")


@pytest.fixture(autouse=True)
def _few_rounds(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(measure, "ROUNDS", 2)
    yield
    remaining = [
        process for process in psutil.Process().children() if "stages" in _command(process)
    ]
    assert remaining == []


def _command(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def cells(*factories: str) -> tuple[Cell, ...]:
    return tuple(replace(runs.EAGER, arch=f"tests.bench.{factory}") for factory in factories)


def request(cells: Sequence[Cell], *, sets: int = SETS) -> Request:
    return Request(cells=tuple(cells), image_size=SIZE, sets=sets, seed=0)


def test_networks_are_measured_in_sets_of_fresh_workers(spawner: Launcher) -> None:
    to_measure = request(cells("stages.nets:plain", "stages.nets:sleeps"))
    plain, sleeps = measure.measure(to_measure, spawner, Quiet(), Watcher())
    assert (plain.cell, sleeps.cell) == to_measure.cells
    for network in (plain, sleeps):
        assert network.macs.image_size == SIZE
        assert network.circumstances.torch.startswith(version("torch"))
        assert network.circumstances.device_name == cpu.describe().cpu
        age = datetime.now(UTC) - datetime.fromisoformat(network.circumstances.measured_at)
        assert timedelta(0) < age < timedelta(minutes=10)
        assert network.macs.whole == nets.conv_macs(SIZE) + nets.FC_MACS
        assert len(network.sets) == SETS
        for of_set in network.sets:
            assert list(of_set.parts_s) == [("conv", ""), ("middle", ""), ("fc", "")]
            assert of_set.pair_s > 0
    for of_set in sleeps.sets:
        assert of_set.parts_s["middle", ""] >= nets.SLEEP_S
        assert of_set.parts_s["middle", ""] > of_set.whole_s / 2


def test_error_names_a_stage_that_is_counted_but_not_called(spawner: Launcher) -> None:
    to_measure = request(cells("stages.nets:rewritten"), sets=1)
    with pytest.raises(RequestError, match=r"nets:rewritten in eager does not call conv as a mod"):
        measure.measure(to_measure, spawner, Quiet(), Watcher())


def test_child_that_is_never_called_is_not_a_stage(spawner: Launcher) -> None:
    to_measure = request(cells("stages.nets:uncalled"), sets=1)
    (network,) = measure.measure(to_measure, spawner, Quiet(), Watcher())
    assert network.macs.parts["aside", ""] == 0
    assert ("aside", "") not in network.sets[0].parts_s


@pytest.mark.parametrize(
    ("factory", "part"),
    [
        ("factories:not_a_network", "at 32×32: .* returned dict, not an nn.Module"),
        ("broken:raises_when_built", "RuntimeError: no such weights"),
    ],
)
def test_error_contains_the_failed_network_and_the_reason(
    spawner: Launcher, factory: str, part: str
) -> None:
    with pytest.raises(RequestError, match=rf"tests\.bench\.{factory}.*{part}"):
        measure.measure(request(cells(factory)), spawner, Quiet(), Watcher())


def test_load_of_other_processes_is_noted(
    spawner: Launcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measure, "foreign_cpus", lambda _before, _after: 0.5)
    watcher = Watcher()
    measure.measure(request(cells("stages.nets:plain"), sets=1), spawner, Quiet(), watcher)
    assert any("0.50 CPUs busy" in note for note in watcher.notes)


def test_networks_with_inputs_of_their_own_have_no_image_size(
    spawner: Launcher, tmp_path: Path
) -> None:
    to_measure = Request(cells=cells("own_inputs:grey"), image_size=None, sets=1, seed=0)
    (grey,) = measure.measure(to_measure, spawner, Quiet(), Watcher())
    assert grey.macs.image_size is None
    assert grey.macs.whole == 28 * 28 * 4 * 9 + 4 * 10
    rows = table.frame([grey])
    assert "×" not in table.render("markdown", rows).splitlines()[0]
    store.write(rows, tmp_path)
    assert store.read(tmp_path / store.FILE)["image_size"].isna().all()
