"""Sets that are measured at the same time, each on a node of its own; their events are merged."""

import queue
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass

from bench.engine.hosts.host import Events
from bench.engine.progress import Progress
from bench.engine.tasks import SetTask, Tasks
from bench.records import events


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ended:
    """The end of a task."""

    task: SetTask
    error: BaseException | None = None
    is_undivided: bool = False
    """Whether it ended because memory does not hold its wave, which was not divided."""


class Together:
    """Measures tasks in threads, as many at the same time as there are nodes.

    A wave that memory does not hold is not divided here, because other tasks refer to the waves of
    its group by their indices. Its task ends, to be measured when nothing else is.
    """

    def __init__(
        self,
        measure: Callable[[SetTask], Events],
        progress: Progress,
        slots: int,
        stop: Callable[[], None],
    ) -> None:
        """``measure`` measures a task; ``stop`` interrupts those that are being measured."""
        self._measure = measure
        self._progress = progress
        self._slots = slots
        self._stop = stop
        self._queue: queue.SimpleQueue[events.Event | _Ended] = queue.SimpleQueue()
        self._is_stopped = threading.Event()
        self._measuring = 0  # tasks that have begun and not ended

    def events(self, tasks: Tasks) -> Events:
        """Yield the events of all tasks; each is stored before the next task is asked for.

        Raises the first error of a task after the others have ended.
        """
        errors: list[BaseException] = []
        with ThreadPoolExecutor(self._slots) as pool:
            try:
                yield from self._merged(tasks, pool, errors)
            except KeyboardInterrupt:
                self._end()
                yield from self._merged(tasks, pool, errors)
                raise
            finally:
                self._end()
        if errors:
            raise errors[0]

    def _merged(
        self, tasks: Tasks, pool: ThreadPoolExecutor, errors: list[BaseException]
    ) -> Events:
        """Yield events until all tasks have ended; begin tasks while there are free slots."""
        while True:
            while self._measuring < self._slots and not self._is_stopped.is_set():
                task = tasks.next()
                if task is None:
                    break
                self._measuring += 1
                pool.submit(self._run, task)
            if not self._measuring:
                return
            item = self._queue.get()
            if not isinstance(item, _Ended):
                yield item
                continue
            self._measuring -= 1
            self._progress.advance(f"set {item.task.set_index + 1} of {item.task.group}")
            tasks.end(item.task, is_undivided=item.is_undivided)
            if item.error is not None:
                errors.append(item.error)
                self._end()

    def _end(self) -> None:
        if not self._is_stopped.is_set():
            self._is_stopped.set()
            self._stop()

    def _run(self, task: SetTask) -> None:
        """Measure a task in a thread."""
        try:
            with closing(self._measure(task)) as happened:
                is_undivided = self._pass_on(happened)
        except BaseException as error:  # noqa: BLE001 - raised in the thread that waits
            self._queue.put(_Ended(task=task, error=error))
        else:
            self._queue.put(_Ended(task=task, is_undivided=is_undivided))

    def _pass_on(self, happened: Events) -> bool:
        """Queue events until the end, or until a wave has to be divided; return whether it has."""
        for event in happened:
            if isinstance(event, events.Split):
                return True
            self._queue.put(event)
        return False
