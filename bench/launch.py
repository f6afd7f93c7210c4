"""Starting workers and talking to them: the parent's side of bench/worker.py. Imports no torch."""

import contextlib
import json
import os
import platform
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

FORK, WAIT = b"F", b"W"  # requests to a fork server
NUMBER_BYTES = 8

STDERR_LINES = 12  # of a failed worker's stderr, kept with its reason
START_LIMIT_S = 300.0  # importing torch takes 3 to 10 s, and minutes from a cold network disk
GRACE_S = 3.0  # a worker that was told to end and did not is killed after this long

_ROOT = Path(__file__).resolve().parent.parent


class WorkerError(Exception):
    """A worker failed: ``kind`` says how, the message why, ``stderr`` holds its last lines."""

    def __init__(self, kind: str, message: str, stderr: str = "") -> None:
        super().__init__(message)
        self.kind = kind
        self.stderr = stderr


class WorkerProcess:
    """A live worker: requests in, replies out, its stderr in a file."""

    def __init__(self, pid: int, streams: "_Streams", wait: Callable[[], int]) -> None:
        self.pid = pid
        self._streams = streams
        self._wait = wait
        self._buffer = b""
        self._ended = False

    def fileno(self) -> int:
        """The descriptor that becomes readable when a reply is there, for ``select``."""
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
            if left <= 0 or not select.select([self], [], [], left)[0]:
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
        return _tail(self._streams.stderr)

    def close(self) -> None:
        """Tell the worker to end, and kill it where it does not."""
        if self._ended:
            return
        self._streams.close_requests()
        # Its end closes the replies; what it still had to say is of no interest.
        deadline = time.monotonic() + GRACE_S
        while (left := deadline - time.monotonic()) > 0:
            if select.select([self], [], [], left)[0] and not os.read(self.fileno(), 1 << 16):
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
        return WorkerError("died", f"the worker {_ending(status)}", stderr)


class Launcher(ABC):
    """A way to start workers, with one interpreter and one set of environment variables."""

    def __init__(
        self,
        environment: Mapping[str, str],
        python: str = sys.executable,
        cpus: Collection[int] | None = None,
    ) -> None:
        """``cpus`` are those that workers may run on; None for all that this process may."""
        path = os.pathsep.join(filter(None, [str(_ROOT), environment.get("PYTHONPATH")]))
        self._environment = {**environment, "PYTHONPATH": path}
        self._python = python
        self._cpus = cpus

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @abstractmethod
    def launch(self) -> WorkerProcess:
        """Start a worker; raises ``WorkerError`` where that fails."""

    @property
    def pids(self) -> tuple[int, ...]:
        """Processes besides the workers whose CPU time is this run's own."""
        return (os.getpid(),)

    def check(self) -> None:  # noqa: B027 - most have nothing that could be gone
        """Raise ``WorkerError`` where workers die because what started them is gone."""

    def close(self) -> None:  # noqa: B027 - most need nothing
        """Free what starting workers needed."""

    def _restrict(self, pid: int) -> None:
        """Keep a process that has just started, and what it will start, to our CPUs."""
        if self._cpus is not None and hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(pid, self._cpus)


class Spawner(Launcher):
    """Starts each worker as a fresh interpreter: slow, and right wherever Python runs."""

    def __init__(
        self,
        environment: Mapping[str, str],
        python: str = sys.executable,
        cpus: Collection[int] | None = None,
        module: str = "bench.worker",
    ) -> None:
        """``module`` is what the interpreter runs: the worker, or one that can do more."""
        super().__init__(environment, python, cpus)
        self._module = module

    def launch(self) -> WorkerProcess:
        """Start an interpreter."""
        streams = _Streams()
        process = subprocess.Popen(
            [self._python, "-m", self._module],
            stdin=streams.for_worker[0],
            stdout=streams.for_worker[1],
            stderr=streams.for_worker[2],
            env=self._environment,
            process_group=0,
        )
        self._restrict(process.pid)
        streams.hand_over()
        return WorkerProcess(process.pid, streams, process.wait)


class ForkServer(Launcher):
    """Forks each worker from one process that has imported torch already (bench/forkserver.py)."""

    def __init__(
        self,
        environment: Mapping[str, str],
        imports: Sequence[str] = (),
        python: str = sys.executable,
        cpus: Collection[int] | None = None,
    ) -> None:
        super().__init__(environment, python, cpus)
        self._socket, theirs = socket.socketpair()
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 - closed in close()
        with theirs:
            self._process = subprocess.Popen(
                [self._python, "-m", "bench.forkserver", str(theirs.fileno()), *imports],
                stdin=subprocess.DEVNULL,
                stdout=self._stderr,
                stderr=self._stderr,
                env=self._environment,
                pass_fds=[theirs.fileno()],
                process_group=0,  # Ctrl-C is for us to handle
            )
        self._restrict(self._process.pid)

    @property
    def pids(self) -> tuple[int, ...]:
        """This process and the server."""
        return (os.getpid(), self._process.pid)

    def launch(self) -> WorkerProcess:
        """Have a worker forked; the first one waits for the server's imports."""
        streams = _Streams()
        try:
            socket.send_fds(self._socket, [FORK], streams.for_worker)
            pid = self._number()
        except ConnectionError:
            streams.close()
            raise self._gone() from None
        except TimeoutError:
            streams.close()
            self._process.kill()  # its late answer would be taken for the next one
            raise WorkerError(
                "start", f"no worker within {START_LIMIT_S:.0f} s", _tail(self._stderr)
            ) from None
        except BaseException:
            streams.close()
            raise
        streams.hand_over()
        return WorkerProcess(pid, streams, lambda: self._wait_for(pid))

    def check(self) -> None:
        """Raise ``WorkerError`` where the server is gone, and with it every worker."""
        if self._process.poll() is not None:
            raise self._gone()

    def close(self) -> None:
        """End the server, and with it any worker left."""
        self._socket.close()
        try:
            self._process.wait(GRACE_S)
        except subprocess.TimeoutExpired:  # still importing, say
            self._process.kill()
            self._process.wait()
        self._stderr.close()

    def _wait_for(self, pid: int) -> int:
        try:
            self._socket.sendall(WAIT + pid.to_bytes(NUMBER_BYTES, "big"))
            return self._number()
        except OSError:  # the server is gone, and its workers with it
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(GRACE_S)
            return -signal.SIGKILL

    def _number(self) -> int:
        self._socket.settimeout(START_LIMIT_S)
        answer = self._socket.recv(NUMBER_BYTES)
        if not answer:
            raise ConnectionResetError
        return int.from_bytes(answer, "big", signed=True)

    def _gone(self) -> WorkerError:
        status = self._process.wait()
        return WorkerError("start", f"the fork server {_ending(status)}", _tail(self._stderr))


def launcher(
    environment: Mapping[str, str], imports: Sequence[str], cpus: Collection[int] | None = None
) -> Launcher:
    """The quickest way to start workers that is safe here: macOS's frameworks do not like forks.

    ``imports`` names what the workers will need besides torch, so that it is imported once.
    """
    if platform.system() == "Linux":
        return ForkServer(environment, imports, cpus=cpus)
    return Spawner(environment, cpus=cpus)


class _Streams:
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


def _tail(file: IO[bytes]) -> str:
    # The offset is shared with the worker's own descriptor: read without moving it.
    size = os.fstat(file.fileno()).st_size
    text = os.pread(file.fileno(), 1 << 14, max(0, size - (1 << 14)))
    return "\n".join(text.decode(errors="replace").strip().splitlines()[-STDERR_LINES:])


def _ending(status: int) -> str:
    if status >= 0:
        return f"ended with exit status {status}"
    hint = " (the system may have been out of memory)" if status == -signal.SIGKILL else ""
    return f"was killed by {signal.Signals(-status).name}{hint}"
