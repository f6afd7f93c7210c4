import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import pytest

from bench.cells.cell import Cell
from bench.sharpness import experiments, live
from bench.sharpness.experiments import AFTER_ONE, EXPERIMENTS, LONG, STEPS
from tests.bench.engine.running import Watcher

NETS = ("tests.bench.broken:works", "tests.bench.broken:prints")


@pytest.fixture(autouse=True)
def _small_images(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "IMAGE_SIZE", 32)
    monkeypatch.setattr(live, "IMPORTS", ())


def test_every_iteration_of_every_worker_is_a_row() -> None:
    cells = [live.cell(name, "eager") for name in (*NETS, NETS[0])]
    about = {"experiment": "e", "arm": "a", "repetition": 0}
    with live.workers(cells, servers=2) as found:
        assert [(one.cell.arch, one.server, one.number) for one in found] == [
            (name, server, number)
            for server in range(2)
            for name, number in ((NETS[0], 0), (NETS[1], 0), (NETS[0], 1))
        ]
        rows = list(live.rounds(found, AFTER_ONE, 0.2, random.Random(1), **about))
        alone = list(live.alone(found, replace(LONG, timed=3), **about))
    first_round = [row for row in rows if row.round == 0]
    assert len(first_round) == 6 * 2
    assert {(row.server, row.network, row.worker) for row in first_round} == {
        (one.server, one.cell.arch, one.number) for one in found
    }
    assert sorted(row.place for row in first_round) == sorted([*range(6)] * 2)
    assert len(alone) == 6 * (LONG.raw + 3)
    assert all(row.seconds > 0 for row in (*rows, *alone))


def test_the_workers_of_a_mode_may_be_neighbours() -> None:
    cells = [live.cell(name, mode) for mode in ("eager", "channels_last") for name in NETS]
    with live.workers(cells) as found:
        beside = replace(AFTER_ONE, neighbours=True)
        rows = list(
            live.rounds(found, beside, 0.5, random.Random(1), experiment="e", arm="a", repetition=0)
        )
    for number in {row.round for row in rows}:
        of_round = [row for row in rows if row.round == number and row.iteration == 0]
        modes = [row.mode for row in sorted(of_round, key=lambda row: row.place)]
        assert modes in (sorted(modes), sorted(modes, reverse=True))


def test_the_spin_count_is_what_workers_start_with(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(live.SPIN, "7")
    for spin, expected in (("123", "123"), (None, None)):
        with live.workers([live.cell(NETS[0], "eager")], spin=spin) as (found,):
            about = found.process.request("describe", limit_s=60, device="cpu")
        assert about["variables"].get(live.SPIN) == expected


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_each_experiment_takes_the_steps_that_it_says(
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
