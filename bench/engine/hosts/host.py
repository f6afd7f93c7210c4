"""A host: one or more machines of one kind, which measure the sets of a run.

The coordinator (bench/engine/run.py) decides what is measured and stores what happens. A host
decides how: it starts the workers, reads the load of its machine, and divides a group into waves if
its memory does not hold all workers together.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator
from contextlib import closing
from functools import partial
from typing import TypeAlias, TypeVar

import msgspec

from bench.engine.tasks import PreflightTask, SetTask, Tasks
from bench.machine.busiest import Busiest
from bench.machine.environment import Environment
from bench.records.events import Event

Events: TypeAlias = Generator[Event, None, None]
Reported = TypeVar("Reported")


class Described(msgspec.Struct, frozen=True, kw_only=True):
    """The environment of a host's workers, and of the base's workers in a gate."""

    environment: Environment
    base_environment: Environment | None = None


class Host(ABC):
    """A way to get machines.

    The methods are generators: each event is applied and stored before the next is asked for, so
    what was measured survives an interrupt or the death of the host. A visit begins only when the
    events before it were yielded, or sent if the machine is another one. A generator that is closed
    ends its workers. One that raises, or in which an interrupt is raised, first yields the
    remaining events.
    """

    name: str
    """Its name in the run; reports group figures by it, so it must not reveal a computer's name."""
    slots: int = 1
    """How many sets it can measure at the same time, each on a machine of its own."""

    @abstractmethod
    def preflight(self, task: PreflightTask) -> Generator[Described | Event, None, None]:
        """Yield ``Described`` first, and then an event for each part of the task.

        Raises ``WorkerError`` if no worker can be started or the device is missing.
        """

    @abstractmethod
    def measure_set(self, task: SetTask) -> Events:
        """Measure a set with fresh workers, which share no process with those of another set.

        Yields ``WaveBegan``, the events of the wave, and ``WaveEnded`` for each wave of the group
        that has cells to measure. If the budget ends it early, it yields ``CutShort``, and no
        ``WaveEnded`` for a wave without all its rounds. A failed cell becomes ``Failed``. Raises
        ``WorkerError`` if no worker can be started.
        """

    def measure_sets(self, tasks: Tasks) -> Events:
        """Measure the tasks of a queue, at the same time if the host has several slots.

        Each is of one wave, which is not divided: if memory does not hold it, the task ends.
        """
        while task := tasks.next():
            yield from self.measure_set(task)
            tasks.end(task)

    @abstractmethod
    def busiest(self) -> Busiest:
        """Return the processes of others that keep the host's CPUs busy; this takes a second."""


def store_each(
    reported: Generator[Reported, None, None], store: Callable[[Reported], None]
) -> None:
    """Store each event of a host before the next is asked for.

    An interrupt while an event is stored is raised in the host, which then yields what it knows
    until now, such as the judgement of the present round, and ends its workers.
    """
    step = partial(next, reported)
    with closing(reported):
        while True:
            try:
                event = step()
            except StopIteration:
                return
            step = partial(next, reported)
            try:
                store(event)
            except KeyboardInterrupt as interrupt:
                step = partial(reported.throw, interrupt)
