"""The process of a job on a node: reads the job, measures it, and writes messages.

The job is the first line of standard input. The end of standard input interrupts the process, so
that it does not outlive the connection to the run; SIGTERM does the same. It then judges the
rounds until now, and ends its workers.
"""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Generator

import msgspec

from bench import signals
from bench.engine import voided_set
from bench.engine.hosts.host import Described, store_each
from bench.engine.hosts.local import LocalHost
from bench.engine.local.resources import cards_of, launcher_of
from bench.engine.remote import job as jobs
from bench.engine.remote import messages
from bench.engine.remote.forwarded import Forwarded
from bench.engine.remote.job import Job
from bench.engine.remote.messages import Message
from bench.engine.tasks import PreflightTask, SetTask
from bench.errors import RequestError
from bench.launch.process import WorkerError
from bench.records import events
from bench.records.record import Round

_NOTHING = PreflightTask(archs=(), dtypes=(), fits=())


class Output:
    """Standard output, for messages only: what else is written to it goes to standard error."""

    def __init__(self) -> None:
        sys.stdout.flush()
        self._descriptor = os.dup(1)
        os.dup2(2, 1)

    def send(self, message: Message) -> None:
        """Write a message; interrupt the process if nothing reads any more."""
        if self._descriptor < 0:
            return
        line = messages.encode(message)
        try:
            while line:
                line = line[os.write(self._descriptor, line) :]
        except BrokenPipeError:
            self._descriptor = -1
            raise KeyboardInterrupt from None


class Session:
    """The measurement of one job."""

    def __init__(self, job: Job, send: Callable[[Message], None]) -> None:
        self._job = job
        self._send = send
        self._rounds: list[Round] = []

    def measure(self) -> None:
        """Measure the job with the launcher of this node.

        Raises ``KeyboardInterrupt``, ``RequestError`` and ``WorkerError``.
        """
        job = self._job
        progress = Forwarded(self._send)
        cards = cards_of(job.plan, progress)
        with launcher_of(job.plan, ahead=1) as launcher:
            host = LocalHost(job.plan, launcher, progress, cards=cards, name=job.host)
            store_each(self._reported(host), self._store)
            if voided_set.is_voided(self._rounds) and voided_set.is_for_load(self._rounds):
                self._send(messages.LoadWatched(busiest=host.busiest()))

    def _reported(self, host: LocalHost) -> Generator[Described | events.Event, None, None]:
        """Yield the events of the task; before a set, the environment of this node."""
        task = self._job.task
        if isinstance(task, PreflightTask):
            yield from host.preflight(task)
        else:
            yield from host.preflight(_NOTHING)
            yield from host.measure_set(self._in_time(task))

    def _in_time(self, task: SetTask) -> SetTask:
        """Return the task without the part of its budget that has passed since it was sent."""
        if task.budget_left_s is None:
            return task
        waited_s = max(0.0, time.time() - self._job.sent_s)
        return msgspec.structs.replace(task, budget_left_s=task.budget_left_s - waited_s)

    def _store(self, event: Described | events.Event) -> None:
        if isinstance(event, Described):
            self._send(messages.NodeDescribed(described=event))
            return
        if isinstance(event, events.RoundEnded):
            self._rounds.append(Round(**msgspec.structs.asdict(event)))
        self._send(messages.Happened(event=event))


def main(check: Callable[[Job], None]) -> None:
    """Measure the job of standard input; ``check`` raises ``RequestError`` to refuse it."""
    output = Output()
    with signals.sigterm_as_interrupt():
        last = _measured(output, check)
        signals.ignore_interrupts()
        try:
            output.send(last)
        except KeyboardInterrupt:
            return


def _measured(output: Output, check: Callable[[Job], None]) -> Message:
    """Measure the job, and return the last message."""
    try:
        job = jobs.decode(_first_line())
        threading.Thread(target=_interrupt_at_end_of_input, daemon=True).start()
        check(job)
        Session(job, output.send).measure()
    except KeyboardInterrupt:
        return messages.Interrupted()
    except RequestError as error:
        return messages.Refused(sentence=str(error))
    except WorkerError as error:
        return messages.NoWorker(kind=error.kind, sentence=str(error), stderr=error.stderr)
    return messages.Completed()


def _first_line() -> bytes:
    """Read a line of standard input, which has no second one."""
    line = b""
    while not line.endswith(b"\n"):
        chunk = os.read(0, 1 << 16)
        if not chunk:
            raise KeyboardInterrupt
        line += chunk
    return line


def _interrupt_at_end_of_input() -> None:
    while os.read(0, 1 << 10):
        pass
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)
