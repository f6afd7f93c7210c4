"""What hosts on a cluster share: a task is a job for one node, which another repeats if need be."""

import time
from abc import abstractmethod
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager, suppress
from typing import cast

import msgspec

from bench.cells.plan import Plan
from bench.engine.hosts.host import Described, Events, Host
from bench.engine.progress import Progress
from bench.engine.remote import messages
from bench.engine.remote.connection import Connection, NodeLostError
from bench.engine.remote.job import Job
from bench.engine.remote.messages import Message
from bench.engine.remote.process import GRACE_S
from bench.engine.remote.remainder import Remainder
from bench.engine.remote.together import Together
from bench.engine.tasks import PreflightTask, SetTask, Tasks
from bench.errors import RequestError
from bench.launch.process import WorkerError
from bench.machine.busiest import Busiest
from bench.machine.environment import Environment
from bench.records import events
from bench.records.code import Code
from bench.records.resuming import differences
from bench.units import counted

MOST_LOSSES = 3  # chosen: a job that ends its node or its process this often is not tried again
DEVICES = "CUDA_VISIBLE_DEVICES"
_Reports = Generator[Described | events.Event, None, None]


class RemoteHost(Host):
    """Measures each task in a process on a node of a cluster.

    All nodes that measure a run are of one kind: one whose workers have another environment than
    those of the first node is not used.
    """

    def __init__(
        self,
        plan: Plan,
        progress: Progress,
        *,
        code: Code | None = None,
        now: Callable[[], float] = time.monotonic,
        unix_time: Callable[[], float] = time.time,
    ) -> None:
        """``code`` is that of the run; a node with other code is refused."""
        self._plan = plan
        self._cells = {cell.id: cell for cell in (*plan.cells, *plan.controls)}
        self._progress = progress
        self._code = code
        self._now = now
        self._unix_time = unix_time
        self._environment: Environment | None = None
        self._busiest = Busiest(processes=())
        self._open: set[Connection] = set()
        self._is_together = False
        self._is_stopped = False

    @abstractmethod
    def connect(self, job: Job) -> Connection:
        """Send a job to a node; it may have to wait there.

        Raises ``WorkerError`` if there is no node.
        """

    def avoid(self, connection: Connection) -> bool:
        """Do not use the node of a connection again; return whether this is possible."""
        del connection
        return False

    def preflight(self, task: PreflightTask) -> _Reports:
        """Describe the environment of a node, and measure there what the task asks for."""
        yield from self._until_done(Remainder(task))

    def measure_set(self, task: SetTask) -> Events:
        """Measure a set on a node, and what a lost node leaves of it on another one.

        Raises ``WorkerError`` if there is no node, or if no worker can be started there.
        """
        # Only a preflight describes the environment.
        yield from cast("Events", self._until_done(Remainder(task)))

    def measure_sets(self, tasks: Tasks) -> Events:
        """Measure sets on several nodes at the same time; raises ``WorkerError`` as for one set."""
        self._is_together = True
        together = Together(self.measure_set, self._progress, self.slots, self._stop)
        try:
            yield from together.events(tasks)
        finally:
            self._is_together = self._is_stopped = False

    def _stop(self) -> None:
        """Interrupt the jobs that are being measured; none is repeated."""
        self._is_stopped = True
        for connection in tuple(self._open):
            connection.interrupt()

    def busiest(self) -> Busiest:
        """Return the busiest processes after the most recent set that was voided for load."""
        return self._busiest

    def _until_done(self, left: Remainder) -> _Reports:
        """Yield the events of a task, which is repeated from its remainder."""
        start_s, losses = self._now(), 0
        while True:
            try:
                yield from self._once(left, start_s)
            except NodeLostError as lost:
                if self._is_stopped:
                    return
                losses += not lost.is_of_node
                sentence = f"{left.name} is measured again on another node: {lost}"
                if losses == MOST_LOSSES:
                    raise WorkerError(
                        "start",
                        f"{left.name} was tried {counted(losses, 'time')} in vain: {lost}",
                    ) from lost
                self._progress.note(sentence)
                if self._environment is not None:  # the run has begun
                    yield events.Noted(sentence=f"{sentence[0].upper()}{sentence[1:]}.")
            else:
                return

    def _once(self, left: Remainder, start_s: float) -> _Reports:
        """Yield the events of one job. One that is interrupted yields the remaining events."""
        job = Job(
            plan=self._plan,
            task=self._in_time(left.task, self._now() - start_s),
            host=self.name,
            code=self._code,
            sent_s=self._unix_time(),
        )
        with closing(self.connect(job)) as connection, self._opened(connection):
            try:
                yield from self._read(connection, left, None)
            except KeyboardInterrupt:
                connection.interrupt()
                with suppress(NodeLostError, RequestError, WorkerError):
                    yield from self._read(connection, left, GRACE_S)
                raise
            except NodeLostError as lost:
                can_avoid = lost.is_of_node and self.avoid(connection)
                raise NodeLostError(f"{connection.name}: {lost}", is_of_node=can_avoid) from lost

    @contextmanager
    def _opened(self, connection: Connection) -> Iterator[None]:
        """Let the job be interrupted meanwhile."""
        self._open.add(connection)
        try:
            if self._is_stopped:
                connection.interrupt()
            yield
        finally:
            self._open.discard(connection)

    def _in_time(self, task: PreflightTask | SetTask, spent_s: float) -> PreflightTask | SetTask:
        """Return a task without the part of its budget that earlier tries have used."""
        if isinstance(task, PreflightTask) or task.budget_left_s is None:
            return task
        return msgspec.structs.replace(task, budget_left_s=task.budget_left_s - spent_s)

    def _read(self, connection: Connection, left: Remainder, limit_s: float | None) -> _Reports:
        """Yield the events of a job until its last message.

        Raises ``NodeLostError`` if that is not ``Completed`` and another try may do better.
        """
        while True:
            message = connection.next_message(limit_s)
            if isinstance(message, messages.Completed):
                return
            if isinstance(message, messages.Happened):
                left.add(message.event)
                self._show_failure(message.event)
                yield message.event
            elif isinstance(message, messages.NodeDescribed):
                yield from self._described(message.described.environment)
            elif isinstance(message, messages.LoadWatched):
                self._busiest = message.busiest
            elif isinstance(message, messages.Shown):
                if not self._is_together or isinstance(message, messages.NoteWritten):
                    message.show(self._progress)
            else:
                raise _error(message, connection.name, left.task)

    def _described(self, about: Environment) -> Iterator[Described]:
        """Yield the environment of the first node; compare that of the others with it."""
        about = common(about)
        if self._environment is None:
            self._environment = about
            yield Described(environment=about)
            return
        differing = differences(about, self._environment)
        if differing:
            why = f"the node is of another kind: {'; '.join(differing)}"
            raise NodeLostError(why, is_of_node=True)

    def _show_failure(self, event: events.Event) -> None:
        if isinstance(event, events.Failed):
            self._progress.failed(self._cells[event.cell], event.failure)


def common(about: Environment) -> Environment:
    """Return an environment without what distinguishes nodes of one kind.

    These are the ids of their cards, and the numbers that a scheduler gives the cards.
    """
    return msgspec.structs.replace(
        about,
        cards={
            name: msgspec.structs.replace(facts, uuid=None) for name, facts in about.cards.items()
        },
        variables={name: value for name, value in about.variables.items() if name != DEVICES},
    )


def _error(message: Message, node: str, task: PreflightTask | SetTask) -> Exception:
    """Return the error for the last message of a job that is not complete."""
    if isinstance(message, messages.NoWorker):
        return WorkerError(message.kind, f"{node}: {message.sentence}", message.stderr)
    if isinstance(message, messages.Refused):
        if isinstance(task, PreflightTask):
            return RequestError(f"{node}: {message.sentence}")
        return NodeLostError(message.sentence, is_of_node=True)
    if isinstance(message, messages.Died):
        last_line = message.stderr.rpartition("\n")[2]
        return NodeLostError(": ".join(filter(None, [message.why, last_line])))
    return NodeLostError("the measuring process was told to stop")
