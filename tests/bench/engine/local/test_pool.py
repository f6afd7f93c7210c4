import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bench.cells import waves
from bench.cells.cell import Cell
from bench.engine.local.context import Context
from bench.engine.local.pool import Pool
from bench.launch import timeouts
from bench.launch.launchers import ForkServer, Launcher
from bench.launch.process import WorkerError
from bench.machine import memory_budget
from bench.records import events
from bench.records.reported import Setup
from bench.worker.protocol import Describe
from tests.bench.engine.running import Quiet, Watcher, cell, plan

CELLS = (cell("works"), cell("prints"), cell("drops_out"))

Kills = Callable[[int], None]


@pytest.fixture
def kills(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kills:
    """Return a function that sets the system's count of processes killed for lack of memory."""
    path = tmp_path / "vmstat"
    monkeypatch.setattr(memory_budget, "_VMSTAT", path)

    def set_count(count: int) -> None:
        path.write_text(f"pgfault 7\noom_kill {count}\nunevictable_pgs_culled 0\n")

    set_count(3)
    return set_count


class RecordedPool:
    """A pool and the events that it emits."""

    def __init__(self, launcher: Launcher, base: Launcher | None = None) -> None:
        context = Context(
            plan=plan(*CELLS, against_base=base is not None),
            launcher=launcher,
            base_launcher=base,
            progress=Watcher(),
            meter=Quiet(),
            memory_budget=memory_budget.MemoryBudget(),
        )
        self.events = context.pending
        self.pool = Pool(context, set_index=2, wave_index=1)

    def failures(self) -> dict[str, str]:
        """Return the ids of the cells that failed for good, each with the kind of its failure."""
        failed = (event for event in self.events if isinstance(event, events.Failed))
        return {event.cell: event.failure.kind for event in failed}

    def kill(self, cell: Cell, number: signal.Signals) -> None:
        os.kill(self.pool[cell].pid, number)

    def finish(self, cell: Cell) -> None:
        """Send a request to a worker that may be dead."""
        with self.pool.may_fail(cell, "finishing"):
            self.pool[cell].request(Describe(device="cpu"), limit_s=timeouts.SHORT_S)


@pytest.fixture
def recorded(fork_server: Launcher, kills: Kills) -> Iterator[RecordedPool]:
    """A pool with a worker for each cell; the system has killed none of them yet."""
    del kills  # the count must be set before the memory budget reads it
    recorded = RecordedPool(fork_server)
    for member in CELLS:
        recorded.pool.launch(member)
    yield recorded
    recorded.pool.kill()


def test_each_worker_that_the_system_killed_is_out_of_memory(
    recorded: RecordedPool, kills: Kills
) -> None:
    first, second, third = CELLS
    for member in CELLS:
        recorded.kill(member, signal.SIGKILL)
    kills(3 + 2)
    recorded.finish(first)
    recorded.finish(second)
    assert set(recorded.pool.out_of_memory) == {first, second}
    assert recorded.failures() == {}
    recorded.finish(third)  # the system counted only two kills, so another process killed it
    assert recorded.failures() == {third.id: "died"}
    assert len(recorded.pool) == 0


def test_a_crash_beside_a_worker_that_the_system_killed_is_a_failure(
    recorded: RecordedPool, kills: Kills
) -> None:
    crashed, killed, healthy = CELLS
    recorded.kill(crashed, signal.SIGSEGV)
    recorded.kill(killed, signal.SIGKILL)
    kills(3 + 1)
    for member in CELLS:
        recorded.finish(member)
    assert recorded.failures() == {crashed.id: "died"}
    assert list(recorded.pool.out_of_memory) == [killed]
    assert list(recorded.pool) == [healthy]


def test_workers_may_end_during_an_iteration_over_the_pool(recorded: RecordedPool) -> None:
    for member in recorded.pool:
        recorded.kill(member, signal.SIGKILL)
        recorded.finish(member)
    assert set(recorded.failures()) == {member.id for member in CELLS}


def test_reported_facts_have_the_set_and_the_wave(recorded: RecordedPool) -> None:
    recorded.pool.report(CELLS[0], Setup(graphs=1))
    assert list(recorded.events) == [
        events.WorkerReported(cell=CELLS[0].id, set_index=2, wave_index=1, facts=Setup(graphs=1))
    ]


def test_the_end_of_the_server_of_the_base_is_no_failure_of_a_cell(fork_server: Launcher) -> None:
    own, base_cell = CELLS[0], waves.base(CELLS[0])
    with ForkServer(os.environ) as base:
        recorded = RecordedPool(fork_server, base)
        for member in (own, base_cell):
            recorded.pool.launch(member)
        os.kill(base.pids[1], signal.SIGKILL)
        with pytest.raises(WorkerError, match="the fork server was killed by SIGKILL"):
            recorded.finish(base_cell)
        recorded.finish(own)
        assert list(recorded.pool) == [own]
        assert recorded.failures() == {}
        recorded.pool.kill()
