"""A live worker, as its parent sees it: requests in, replies out, and how it ended.

The other side is bench/worker/worker.py. Imports no torch.
"""

import contextlib
import json
import os
import signal
import tempfile
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import wait  # select() fails past 1,024 descriptors
from typing import IO, Any

from bench.signals import ending

STDERR_LINES = 12  # of a failed worker's stderr, kept with its reason
GRACE_S = 3.0  # a worker that was told to end and did not is killed after this long


class WorkerError(Exception):
    """A worker failed: ``kind`` says how, the message why, ``stderr`` holds its last lines.

    ``status`` is the exit status of one that died.
    """

    def __init__(
        self, kind: str, message: str, stderr: str = "", *, status: int | None = None
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.stderr = stderr
        self.was_killed = status == -signal.SIGKILL
        """Whether it died as those do that the system kills for want of memory."""

    def named(self, name: str) -> "WorkerError":
        """The same of somebody: its message with a name before it."""
        found = WorkerError(self.kind, f"{name}{self}", self.stderr)
        found.was_killed = self.was_killed
        return found


class Streams:
    """The three streams of a worker, and our ends of them."""

    def __init__(self) -> None:
        requests_out, self.requests = os.pipe()
        self.replies, replies_in = os.pipe()
        self.stderr: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed in close()
        self.for_worker = [requests_out, replies_in, self.stderr.fileno()]

    def hand_over(self) -> None:
        """Close the worker's ends here, once it has them."""
        for descriptor in self.for_worker[:2]:
            os.close(descriptor)
        self.for_worker = []

    def close_requests(self) -> None:
        if self.requests >= 0:
            os.close(self.requests)
            self.requests = -1

    def close(self) -> None:
        self.hand_over()
        self.close_requests()
        os.close(self.replies)
        self.stderr.close()


class WorkerProcess:
    """A live worker: requests in, replies out, its stderr in a file."""

    def __init__(self, pid: int, streams: Streams, wait: Callable[[], int]) -> None:
        self.pid = pid
        self._streams = streams
        self._wait = wait
        self._buffer = b""
        self._ended = False

    def fileno(self) -> int:
        """The descriptor that becomes readable when a reply is there, to ``wait`` for."""
        return self._streams.replies

    def request(self, op: str, *, limit_s: float, **arguments: Any) -> dict[str, Any]:
        """Ask and wait for the reply; raises ``WorkerError`` where there is none."""
        self.send(op, **arguments)
        return self.receive(limit_s)

    def send(self, op: str, **arguments: Any) -> None:
        """Ask without waiting."""
        line = json.dumps({"op": op, **arguments}).encode() + b"\n"
        try:
            os.write(self._streams.requests, line)
        except BrokenPipeError:
            raise self._died() from None

    def receive(self, limit_s: float) -> dict[str, Any]:
        """Wait for a reply; raises ``WorkerError`` for a failure, a death or a hang.

        A worker that died or hung is killed and waited for.
        """
        deadline = time.monotonic() + limit_s
        while b"\n" not in self._buffer:
            left = deadline - time.monotonic()
            if left <= 0 or not wait([self.fileno()], left):
                raise self.hung(limit_s)
            chunk = os.read(self.fileno(), 1 << 16)
            if not chunk:
                raise self._died()
            self._buffer += chunk
        line, self._buffer = self._buffer.split(b"\n", 1)
        reply: dict[str, Any] = json.loads(line)
        if "error" in reply:
            error = reply["error"]
            raise WorkerError(error["kind"], error["message"], self.stderr())
        ok: dict[str, Any] = reply["ok"]
        return ok

    def hung(self, limit_s: float) -> WorkerError:
        """Kill a worker that gave no answer within its limit; the error to raise."""
        stderr = self.stderr()
        self.kill()
        return WorkerError("timeout", f"no answer within {limit_s:.0f} s; it was killed", stderr)

    def stderr(self) -> str:
        """The last lines that the worker, or a library in it, wrote to standard error."""
        return tail(self._streams.stderr)

    def close(self) -> None:
        """Tell the worker to end, and kill it where it does not."""
        if self._ended:
            return
        self._streams.close_requests()
        # Its end closes the replies; what it still had to say is of no interest.
        deadline = time.monotonic() + GRACE_S
        while (left := deadline - time.monotonic()) > 0:
            if wait([self.fileno()], left) and not os.read(self.fileno(), 1 << 16):
                break
        self.kill()

    def kill(self) -> int:
        """Kill the worker, with whatever it started, and free what it held; its exit status."""
        if self._ended:
            return 0
        self._ended = True
        self._streams.close_requests()
        self._kill_group()
        status = self._wait()
        self._streams.close()
        return status

    def _kill_group(self) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)

    def _died(self) -> WorkerError:
        """Why a worker that closed its end is gone: found out before it is cleaned up."""
        stderr = self.stderr()
        self._ended = True
        # It is on its way out, and tells how it ended; one that only closed its end is helped.
        impatience = threading.Timer(GRACE_S, self._kill_group)
        impatience.start()
        status = self._wait()
        impatience.cancel()
        self._kill_group()  # what it started may outlive it
        self._streams.close()
        return WorkerError("died", f"the worker {ending(status)}", stderr, status=status)


def tail(file: IO[bytes]) -> str:
    """The last lines of a file that another process may be writing."""
    # The offset is shared with the worker's own descriptor: read without moving it.
    size = os.fstat(file.fileno()).st_size
    text = os.pread(file.fileno(), 1 << 14, max(0, size - (1 << 14)))
    return "\n".join(text.decode(errors="replace").strip().splitlines()[-STDERR_LINES:])


def no_interpreter(python: str, error: OSError) -> WorkerError:
    """What to say where no process of ``python`` could be started."""
    return WorkerError("start", f"cannot run {python} as an interpreter: {error.strerror}")
