"""A worker process from the parent's side: requests, replies and exit status.

The other side is bench/worker/worker.py. Does not import torch.
"""

import contextlib
import os
import signal
import tempfile
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import wait  # select() fails past 1,024 descriptors
from typing import IO

import msgspec

from bench.printable import printable
from bench.signals import ending
from bench.worker.protocol import ReplyT, Request

STDERR_LINES = 12  # last lines of a failed worker's stderr that are stored with the failure
GRACE_S = 3.0  # time for a worker to end by itself, before it is killed
STOPPED_S = 5.0  # a worker that stays stopped for this long is killed
_LOOK_S = 1.0  # between looks at the state of a worker that does not reply


class _Error(msgspec.Struct, frozen=True):
    kind: str
    message: str


class _Envelope(msgspec.Struct, frozen=True):
    """A line that a worker sends: a reply that is not decoded yet, or an error."""

    ok: msgspec.Raw = msgspec.Raw(b"null")
    error: _Error | None = None


class WorkerError(Exception):
    """Raised if a worker fails.

    ``kind`` is the kind of failure, the message the reason and ``stderr`` the last lines that the
    worker wrote, both made printable. ``status`` is the exit status of a worker that died.
    """

    def __init__(
        self, kind: str, message: str, stderr: str = "", *, status: int | None = None
    ) -> None:
        super().__init__(printable(message))
        self.kind = kind
        self.stderr = printable(stderr)
        self.was_killed = status == -signal.SIGKILL
        """Whether SIGKILL ended the worker, as it does when the system runs out of memory."""

    def prefixed(self, prefix: str) -> "WorkerError":
        """Return a copy of the error with ``prefix`` before its message."""
        error = WorkerError(self.kind, f"{prefix}{self}", self.stderr)
        error.was_killed = self.was_killed
        return error


class Streams:
    """The three standard streams of a worker, with the parent's ends of them."""

    def __init__(self) -> None:
        requests_out, self.requests = os.pipe()
        self.replies, replies_in = os.pipe()
        self.stderr: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed in close()
        self.for_worker = [requests_out, replies_in, self.stderr.fileno()]

    def hand_over(self) -> None:
        """Close this process's copies of the worker's ends, once the worker has started."""
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
    """A live worker: takes requests, sends replies, and writes its stderr to a file."""

    def __init__(self, pid: int, streams: Streams, wait: Callable[[], int]) -> None:
        self.pid = pid
        self._streams = streams
        self._wait = wait
        self._buffer = b""
        self._ended = False
        self._stopped_at: float | None = None

    def fileno(self) -> int:
        """Return the file descriptor that becomes readable when a reply arrives."""
        return self._streams.replies

    def request(self, request: Request[ReplyT], *, limit_s: float) -> ReplyT:
        """Send a request and return its reply. Raises ``WorkerError`` if none arrives."""
        self.send(request)
        return self.receive(type(request), limit_s)

    def send(self, request: Request[ReplyT]) -> None:
        """Send a request without waiting for the reply."""
        try:
            line = msgspec.json.encode(request) + b"\n"
        except UnicodeEncodeError as error:
            raise WorkerError("request", f"a name is not valid Unicode: {error}") from error
        try:
            os.write(self._streams.requests, line)
        except BrokenPipeError:
            raise self._died() from None

    def receive(self, request: type[Request[ReplyT]], limit_s: float) -> ReplyT:
        """Wait for the reply to a request of this type and return it.

        Raises ``WorkerError`` if the worker fails, dies, is stopped by a signal or does not reply
        within ``limit_s``. After each of these except a failure it is killed and waited for.
        """
        deadline = time.monotonic() + limit_s
        while b"\n" not in self._buffer:
            left = deadline - time.monotonic()
            if left <= 0:
                raise self.hung(limit_s)
            if not wait([self.fileno()], min(left, _LOOK_S)):
                self.check_running()
                continue
            chunk = os.read(self.fileno(), 1 << 16)
            if not chunk:
                raise self._died()
            self._buffer += chunk
        line, self._buffer = self._buffer.split(b"\n", 1)
        try:
            envelope = msgspec.json.decode(line, type=_Envelope)
            if envelope.error is None:
                reply: ReplyT = msgspec.json.decode(envelope.ok, type=request.reply)
                return reply
        except msgspec.MsgspecError as error:
            message = f"the worker's reply cannot be read: {error}"
            raise WorkerError("error", message, self.stderr()) from error
        raise WorkerError(envelope.error.kind, envelope.error.message, self.stderr())

    def hung(self, limit_s: float) -> WorkerError:
        """Kill a worker that did not reply in time, and return the error to raise."""
        stderr = self.stderr()
        self.kill()
        return WorkerError("timeout", f"no answer within {limit_s:.0f} s; it was killed", stderr)

    def check_running(self) -> None:
        """Raise ``WorkerError`` if the worker has been stopped by a signal for ``STOPPED_S``.

        To be called about once a second while its reply is missing. The worker is then killed.
        """
        if not _is_stopped(self.pid):
            self._stopped_at = None
            return
        now = time.monotonic()
        if self._stopped_at is None:
            self._stopped_at = now
        if now - self._stopped_at < STOPPED_S:
            return
        stderr = self.stderr()
        self.kill()
        message = (
            f"stopped for {STOPPED_S:.0f} s by a signal, such as SIGSTOP, or by a debugger; "
            "it was killed"
        )
        raise WorkerError("timeout", message, stderr)

    def stderr(self) -> str:
        """Return the last lines that the worker, or a library in it, wrote to standard error."""
        return tail(self._streams.stderr)

    def close(self) -> None:
        """End the worker; kill it if it does not end within ``GRACE_S``."""
        if self._ended:
            return
        self._streams.close_requests()
        # The worker closes the replies when it ends; replies until then are ignored.
        deadline = time.monotonic() + GRACE_S
        while (left := deadline - time.monotonic()) > 0:
            if wait([self.fileno()], left) and not os.read(self.fileno(), 1 << 16):
                break
        self.kill()

    def kill(self) -> int:
        """Kill the worker and its child processes, and return the exit status."""
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
        """Clean up after a worker that closed its end, and return the error to raise."""
        stderr = self.stderr()
        self._ended = True
        # Let it end by itself, for its own exit status; kill it if it only closed its end.
        kill_timer = threading.Timer(GRACE_S, self._kill_group)
        kill_timer.start()
        status = self._wait()
        kill_timer.cancel()
        self._kill_group()  # its child processes may outlive it
        self._streams.close()
        return WorkerError("died", f"the worker {ending(status)}", stderr, status=status)


def _is_stopped(pid: int) -> bool:
    import psutil  # commands that measure nothing do without it

    try:
        status = psutil.Process(pid).status()
    except psutil.Error:
        return False
    return status in {psutil.STATUS_STOPPED, psutil.STATUS_TRACING_STOP}


def tail(file: IO[bytes]) -> str:
    """Return the last lines of a file that another process may be writing."""
    # The file offset is shared with the worker's own descriptor, so read without moving it.
    size = os.fstat(file.fileno()).st_size
    text = os.pread(file.fileno(), 1 << 14, max(0, size - (1 << 14)))
    return "\n".join(text.decode(errors="replace").strip().splitlines()[-STDERR_LINES:])


def no_interpreter(python: str, error: OSError) -> WorkerError:
    """Return the error for an interpreter that could not be started."""
    return WorkerError("start", f"cannot run {python} as an interpreter: {error.strerror}")
