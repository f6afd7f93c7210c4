import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import pytest

from bench.cells.cell import Cell
from bench.studies.sharpness import experiments, live
from bench.studies.sharpness.experiments import AFTER_ONE, EXPERIMENTS, LONG, STEPS
from bench.worker.protocol import Describe
from tests.bench.engine.running import Watcher

NETS = ("tests.bench.broken:works", "tests.bench.broken:prints")


@pytest.fixture(autouse=True)
def _small_images(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "IMAGE_SIZE", 32)
    monkeypatch.setattr(live, "IMPORTS", ())


@pytest.mark.workers
def test_every_iteration_of_every_worker_is_recorded() -> None:
    cells = [live.cell(name, "eager") for name in (*NETS, NETS[0])]
    labels = {"experiment": "e", "arm": "a", "repetition": 0}
    with live.workers(cells, servers=2) as workers:
        assert [(worker.cell.arch, worker.server, worker.number) for worker in workers] == [
            (name, server, number)
            for server in range(2)
            for name, number in ((NETS[0], 0), (NETS[1], 0), (NETS[0], 1))
        ]
        rows = list(live.rounds(workers, AFTER_ONE, 0.2, random.Random(1), **labels))
        alone = list(live.alone(workers, replace(LONG, timed=3), **labels))
    first_round = [row for row in rows if row.round == 0]
    assert len(first_round) == 6 * 2
    assert {(row.server, row.network, row.worker) for row in first_round} == {
        (worker.server, worker.cell.arch, worker.number) for worker in workers
    }
    assert sorted(row.place for row in first_round) == sorted([*range(6)] * 2)
    assert len(alone) == 6 * (LONG.raw + 3)
    assert all(row.seconds > 0 for row in (*rows, *alone))


@pytest.mark.workers
def test_workers_of_a_mode_can_be_visited_as_neighbours() -> None:
    cells = [live.cell(name, mode) for mode in ("eager", "channels_last") for name in NETS]
    with live.workers(cells) as workers:
        way = replace(AFTER_ONE, neighbours=True)
        rows = list(
            live.rounds(workers, way, 0.5, random.Random(1), experiment="e", arm="a", repetition=0)
        )
    for number in {row.round for row in rows}:
        of_round = [row for row in rows if row.round == number and row.iteration == 0]
        modes = [row.mode for row in sorted(of_round, key=lambda row: row.place)]
        assert modes in (sorted(modes), sorted(modes, reverse=True))


@pytest.mark.workers
def test_workers_start_with_the_spin_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(live.SPIN, "7")
    for spin, expected in (("123", "123"), (None, None)):
        with live.workers([live.cell(NETS[0], "eager")], spin=spin) as (worker,):
            description = worker.process.request(Describe(device="cpu"), limit_s=60)
        assert description.variables.get(live.SPIN) == expected


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_each_experiment_advances_as_often_as_steps_says(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[int] = []

    @contextmanager
    def no_workers(cells: Sequence[Cell], **_: object) -> Iterator[list[live.Live]]:
        started.append(len(cells))
        yield []

    monkeypatch.setattr(experiments, "workers", no_workers)
    progress = Watcher()
    progress.phase(name, STEPS[name])
    assert list(EXPERIMENTS[name](0.01, 0, progress)) == []
    assert len(progress.advances[-1]) == len(started) == STEPS[name]
