"""The process of a job, from the side of its node: starts it, reads its messages, ends it."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import IO

from bench.archs import source_file
from bench.engine.remote import messages
from bench.launch import run_module
from bench.launch.process import tail
from bench.signals import ending

MODULE = "bench.api.remote"
THREADS = "OMP_NUM_THREADS"
PATH = "PYTHONPATH"
GRACE_S = 15.0  # time for the process to judge the last rounds and to end its workers
_READ_BYTES = 1 << 16


def variables_of_run(base: Mapping[str, str]) -> dict[str, str]:
    """Return the environment variables of a run's own process that hold on every node.

    Networks are looked up in the folders in which the run does.
    """
    roots = os.pathsep.join(map(str, source_file.roots()))
    return {source_file.VARIABLE: roots} | {
        name: base[name] for name in (THREADS, PATH) if name in base
    }


def environment(of_node: Mapping[str, str], of_run: Mapping[str, str]) -> dict[str, str]:
    """Return the environment variables of the process.

    A scheduler sets the number of threads from the CPUs that it gives; here the run decides.
    """
    kept = {name: value for name, value in of_node.items() if name != THREADS}
    return {**kept, **of_run}


class JobProcess:
    """The process of one job."""

    def __init__(self, job: bytes, variables: Mapping[str, str]) -> None:
        """Start the process, with the interpreter of this one and the run's ``variables``."""
        self._stderr: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed in close()
        self._process = subprocess.Popen(
            [sys.executable, run_module.FILE, MODULE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            bufsize=0,
            env=environment(os.environ, variables),
            process_group=0,
        )
        self._send(job)

    def _send(self, job: bytes) -> None:
        stdin = self._process.stdin
        with suppress(BrokenPipeError):  # it has died: the messages say so
            while job and stdin is not None:
                job = job[stdin.write(job) :]

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def chunks(self) -> Iterator[bytes]:
        """Yield the messages when they arrive, one or more complete lines at a time."""
        rest = b""
        while self._process.stdout and (
            chunk := os.read(self._process.stdout.fileno(), _READ_BYTES)
        ):
            lines, end, rest = (rest + chunk).rpartition(b"\n")
            if end:
                yield lines + end
        if status := self._process.wait():
            why = f"the measuring process {ending(status)}"
            yield messages.encode(messages.Died(why=why, stderr=tail(self._stderr)))

    def interrupt(self) -> None:
        """Let the process judge the rounds until now, and end."""
        self._process.send_signal(signal.SIGTERM)

    def end(self) -> None:
        """End the process and its workers; kill it if it does not end within ``GRACE_S``.

        Another thread may be reading its messages.
        """
        if self._process.stdin:
            self._process.stdin.close()
        try:
            self._process.wait(GRACE_S)
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def close(self) -> None:
        """End the process, and free what it took; nothing reads its messages any more."""
        if self._process.stdout:
            self._process.stdout.close()
        self.end()
        self._stderr.close()
