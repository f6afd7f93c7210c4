"""The actor of a job: what Ray runs on a node, beside the process that measures."""

from collections.abc import Iterator, Mapping
from contextlib import closing

from bench.engine.remote.process import JobProcess


class JobActor:
    """Passes the messages of one job on.

    Ray calls its methods in two threads, so that the job can be interrupted while it yields. A
    task could not do that: the generator of a cancelled task is closed for its reader, too.
    """

    def __init__(self) -> None:
        self._process: JobProcess | None = None
        self._is_ended = False

    def measure(self, job: bytes, variables: Mapping[str, str]) -> Iterator[bytes]:
        """Measure a job and yield its messages, one or more lines at a time."""
        if self._is_ended:
            return
        with closing(JobProcess(job, variables)) as process:
            self._process = process
            yield from process.chunks()

    def interrupt(self) -> None:
        """Let the job judge the rounds until now, and end."""
        self._is_ended = True
        if self._process is not None:
            self._process.interrupt()

    def end(self) -> None:
        """End the job's process and its workers."""
        self._is_ended = True
        if self._process is not None:
            self._process.end()
