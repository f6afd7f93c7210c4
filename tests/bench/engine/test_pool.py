import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bench.cells import waves
from bench.cells.cell import Cell
from bench.engine import timeouts
from bench.engine.context import Context
from bench.engine.launch import ForkServer, Launcher
from bench.engine.pool import Pool
from bench.engine.process import WorkerError
from bench.machine import memory_budget
from bench.records import events
from tests.bench.engine.running import Quiet, Watcher, cell, plan

CELLS = (cell("works"), cell("prints"), cell("drops_out"))

Kills = Callable[[int], None]


@pytest.fixture
def kills(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kills:
    """What the system says of how many processes it has killed for want of memory."""
    path = tmp_path / "vmstat"
    monkeypatch.setattr(memory_budget, "_VMSTAT", path)

    def tell(count: int) -> None:
        path.write_text(f"pgfault 7\noom_kill {count}\nunevictable_pgs_culled 0\n")

    tell(3)
    return tell


class Told:
    """A pool, and what was told of it."""

    def __init__(self, launcher: Launcher, base: Launcher | None = None) -> None:
        self.events: list[events.Event] = []
        context = Context(
            plan=plan(*CELLS, against_base=base is not None),
            launcher=launcher,
            base_launcher=base,
            progress=Watcher(),
            meter=Quiet(),
            memory_budget=memory_budget.MemoryBudget(),
            tell=self.events.append,
        )
        self.pool = Pool(context, set_index=2, wave_index=1)

    def failures(self) -> dict[str, str]:
        """Cells that failed for good, and how."""
        failed = (event for event in self.events if isinstance(event, events.Failed))
        return {event.cell: event.failure.kind for event in failed}

    def dies(self, found: Cell, number: signal.Signals) -> None:
        os.kill(self.pool[found].pid, number)

    def finish(self, found: Cell) -> None:
        """Ask a worker that has nothing to finish, or is gone."""
        with self.pool.may_fail(found, "finishing"):
            self.pool[found].request("describe", limit_s=timeouts.SHORT_S, device="cpu")


@pytest.fixture
def told(fork_server: Launcher, kills: Kills) -> Iterator[Told]:
    """A pool with a worker for each cell, none of which the system has killed yet."""
    del kills  # they are told before the room is looked at
    found = Told(fork_server)
    for one in CELLS:
        found.pool.launch(one)
    yield found
    found.pool.kill()


def test_each_that_the_system_killed_at_a_time_may_be_tried_again(told: Told, kills: Kills) -> None:
    first, second, third = CELLS
    for one in CELLS:
        told.dies(one, signal.SIGKILL)
    kills(3 + 2)
    told.finish(first)
    told.finish(second)
    assert set(told.pool.without_memory) == {first, second}
    assert told.failures() == {}
    told.finish(third)  # somebody else killed it
    assert told.failures() == {third.id: "died"}
    assert len(told.pool) == 0


def test_one_that_died_of_itself_beside_one_that_the_system_killed_has_failed(
    told: Told, kills: Kills
) -> None:
    crashed, killed, well = CELLS
    told.dies(crashed, signal.SIGSEGV)
    told.dies(killed, signal.SIGKILL)
    kills(3 + 1)
    for one in CELLS:
        told.finish(one)
    assert told.failures() == {crashed.id: "died"}
    assert list(told.pool.without_memory) == [killed]
    assert list(told.pool) == [well]


def test_workers_may_end_while_they_are_gone_through(told: Told) -> None:
    for one in told.pool:
        told.dies(one, signal.SIGKILL)
        told.finish(one)
    assert set(told.failures()) == {one.id for one in CELLS}


def test_what_a_worker_showed_is_told_with_its_set_and_wave(told: Told) -> None:
    told.pool.learn(CELLS[0], graphs=1)
    assert told.events == [
        events.WorkerReported(cell=CELLS[0].id, set_index=2, wave_index=1, facts={"graphs": 1})
    ]


def test_a_base_s_worker_is_its_own_server_s_and_no_failure_where_that_is_gone(
    fork_server: Launcher,
) -> None:
    ours, theirs = CELLS[0], waves.base(CELLS[0])
    with ForkServer(os.environ) as base:
        told = Told(fork_server, base)
        for one in (ours, theirs):
            told.pool.launch(one)
        os.kill(base.pids[1], signal.SIGKILL)
        with pytest.raises(WorkerError, match="the fork server was killed by SIGKILL"):
            told.finish(theirs)
        told.finish(ours)
        assert list(told.pool) == [ours]
        assert told.failures() == {}
        told.pool.kill()
