"""A host: one or more machines of one kind, which measure the sets of a run.

The coordinator (bench/engine/run.py) decides what is measured and stores what happens. A host
decides how: it starts the workers, reads the load of its machine, and divides a group into waves if
its memory does not hold all workers together.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator
from contextlib import closing
from functools import partial
from typing import Protocol, TypeAlias, TypeVar

import msgspec

from bench.cells.cell import Cell
from bench.cells.waves import Wave
from bench.machine.busiest import Busiest
from bench.machine.environment import Environment
from bench.records.events import Event

Events: TypeAlias = Generator[Event, None, None]
Reported = TypeVar("Reported")


class Described(msgspec.Struct, frozen=True, kw_only=True):
    """The environment of a host's workers, and of the base's workers in a gate."""

    environment: Environment
    base_environment: Environment | None = None


class PreflightTask(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """What to measure before the first set: what the run does not know yet."""

    archs: tuple[tuple[str, bool], ...]
    """Archs whose cost to count; with each, whether it is the base's."""
    dtypes: tuple[str, ...]
    """Dtypes whose peak rates to measure."""
    fits: tuple[Cell, ...]
    """Cells whose largest batch to find."""


class SetTask(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """One set of one group of cells."""

    group: str
    set_index: int
    cells: tuple[Cell, ...]
    """The cells to measure, in any order; none of them has failed."""
    waves: tuple[Wave, ...]
    """How the group is divided until now. A host that divides it further yields ``Split``."""
    fitting: tuple[Wave, ...] = ()
    """Waves that were measured completely without running out of memory."""
    ended: tuple[int, ...] = ()
    """Indices of the waves that were already measured in this set, before the run was resumed."""
    rounds: int | None = None
    """Valid rounds in each wave; None if neither the plan nor an earlier set decided. Then the host
    does, and yields ``Allotted``."""
    is_over_memory: bool = False
    """Whether a note says already that the group's workers held more memory than the limit."""
    budget_left_s: float | None = None
    """No round begins later than this after the task; None for no limit."""


class Tasks(Protocol):
    """A queue of tasks for several sets."""

    def next(self) -> SetTask | None:
        """Return the next task; None if none is ready, although more may follow."""
        ...

    def end(self, task: SetTask, *, is_undivided: bool = False) -> None:
        """Note that a task has ended; ``is_undivided``: because memory does not hold its wave."""
        ...


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
