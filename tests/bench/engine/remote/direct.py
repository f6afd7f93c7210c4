"""A cluster without a scheduler: each job is a process of this machine."""

import os
from collections.abc import Callable
from typing import Any

from bench.cells.plan import Plan
from bench.engine.progress import Progress
from bench.engine.remote import job as jobs
from bench.engine.remote.connection import Connection, NodeLostError
from bench.engine.remote.job import Job
from bench.engine.remote.process import JobProcess, variables_of_run
from bench.engine.remote.remote_host import RemoteHost
from bench.engine.tasks import SetTask
from bench.records import events
from bench.records.outcome import Outcome
from tests.bench.engine.running import plan as engine_plan


def plan(*cells: Any, **overrides: Any) -> Plan:
    """Return a plan of which no round is voided for load."""
    return engine_plan(*cells, **{"foreign_cpus": 100.0, **overrides})


def set_task(request: Plan, **overrides: Any) -> SetTask:
    """Return the task of the first set of a plan's first group."""
    group, waves = next(iter(Outcome(request).waves.items()))
    cells = tuple(cell for wave in waves for cell in wave.cells)
    fields = {"set_index": 0, "rounds": request.rounds, **overrides}
    return SetTask(group=group, cells=cells, waves=waves, **fields)


class DirectConnection(Connection):
    """The process of a job, beside this one."""

    name = "direct"

    def __init__(self, line: bytes) -> None:
        super().__init__()
        self.process = JobProcess(line, variables_of_run(os.environ))
        self._chunks = self.process.chunks()

    def receive(self, limit_s: float | None) -> bytes:
        del limit_s
        try:
            return next(self._chunks)
        except StopIteration:
            raise NodeLostError("its stream of messages ended early") from None

    def interrupt(self) -> None:
        self.process.interrupt()

    def close(self) -> None:
        self.process.close()


class DirectHost(RemoteHost):
    """Measures each job in a process of this machine."""

    name = "direct"

    def __init__(self, request: Plan, progress: Progress, **options: Any) -> None:
        super().__init__(request, progress, **options)
        self.jobs: list[Job] = []
        self.connections: list[DirectConnection] = []

    def connect(self, job: Job) -> DirectConnection:
        self.jobs.append(job)
        self.connections.append(DirectConnection(jobs.encode(job)))
        return self.connections[-1]


class Sink:
    """An event sink that reacts to events after it has stored them."""

    def __init__(self, react: Callable[[events.Event], None] = lambda _: None) -> None:
        self.events: list[events.Event] = []
        self._react = react

    def begin(self, _environment: object) -> "Sink":
        return self

    def append(self, event: events.Event) -> None:
        self.events.append(event)
        self._react(event)


def interrupts(when: Callable[[events.Event], bool]) -> Sink:
    """Return a sink that is interrupted once, at the first event of a kind."""

    def interrupt(event: events.Event) -> None:
        if when(event) and not any(map(when, sink.events[:-1])):
            raise KeyboardInterrupt

    sink = Sink(interrupt)
    return sink


def keys(outcome: Outcome, cell: Any) -> list[tuple[int, int, int]]:
    """Return the indices of set, wave and round of each visit of a cell."""
    records = {record.cell: record for record in (*outcome.records(), *outcome.controls())}
    return [visit.key for visit in records[cell].visits]
