"""Starting workers: as fresh interpreters, or forked from one that has imported torch already."""

import contextlib
import os
import platform
import signal
import socket
import subprocess
import sys
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from bench.process import GRACE_S, Streams, WorkerError, WorkerProcess, ending, tail

FORK, WAIT = b"F", b"W"  # requests to a fork server
NUMBER_BYTES = 8

START_LIMIT_S = 300.0  # importing torch takes 3 to 10 s, and minutes from a cold network disk

ROOT = Path(__file__).resolve().parent.parent


class Launcher(ABC):
    """A way to start workers, with one interpreter and one set of environment variables."""

    def __init__(
        self,
        environment: Mapping[str, str],
        python: str = sys.executable,
        cpus: Collection[int] | None = None,
        roots: Sequence[Path] = (ROOT,),
    ) -> None:
        """``cpus`` are those that workers may run on; None for all that this process may.

        ``roots`` are the folders in which modules are looked for first.
        """
        path = os.pathsep.join(filter(None, [*map(str, roots), environment.get("PYTHONPATH")]))
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

    def renew(self) -> None:  # noqa: B027 - most share nothing
        """Begin anew what workers have in common, so that later ones do not share it with these."""

    def wait(self) -> None:  # noqa: B027 - most have nothing to wait for
        """Wait until a worker can be started; raises ``WorkerError`` where none ever can."""

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
        roots: Sequence[Path] = (ROOT,),
        module: str = "bench.worker",
    ) -> None:
        """``module`` is what the interpreter runs: the worker, or one that can do more."""
        super().__init__(environment, python, cpus, roots)
        self._module = module

    def launch(self) -> WorkerProcess:
        """Start an interpreter."""
        streams = Streams()
        try:
            process = subprocess.Popen(
                [self._python, "-m", self._module],
                stdin=streams.for_worker[0],
                stdout=streams.for_worker[1],
                stderr=streams.for_worker[2],
                env=self._environment,
                process_group=0,
            )
        except OSError as error:
            streams.close()
            raise _no_interpreter(self._python, error) from error
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
        roots: Sequence[Path] = (ROOT,),
    ) -> None:
        super().__init__(environment, python, cpus, roots)
        self._imports = tuple(imports)
        self._start()

    def _start(self) -> None:
        """Start a server, which goes on importing; raises ``WorkerError`` without interpreter."""
        self._socket, theirs = socket.socketpair()
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 - closed in close()
        with theirs:
            try:
                self._process = subprocess.Popen(
                    [self._python, "-m", "bench.forkserver", str(theirs.fileno()), *self._imports],
                    stdin=subprocess.DEVNULL,
                    stdout=self._stderr,
                    stderr=self._stderr,
                    env=self._environment,
                    pass_fds=[theirs.fileno()],
                    process_group=0,  # Ctrl-C is for us to handle
                )
            except OSError as error:
                self._socket.close()
                self._stderr.close()
                raise _no_interpreter(self._python, error) from error
        self._restrict(self._process.pid)

    @property
    def pids(self) -> tuple[int, ...]:
        """This process and the server."""
        return (os.getpid(), self._process.pid)

    def launch(self) -> WorkerProcess:
        """Have a worker forked; the first one waits for the server's imports."""
        streams = Streams()
        try:
            socket.send_fds(self._socket, [FORK], streams.for_worker)
            pid = self._number(self._socket)
        except ConnectionError:
            streams.close()
            raise self._gone() from None
        except TimeoutError:
            streams.close()
            self._process.kill()  # its late answer would be taken for the next one
            raise WorkerError(
                "start", f"no worker within {START_LIMIT_S:.0f} s", tail(self._stderr)
            ) from None
        except BaseException:
            streams.close()
            raise
        streams.hand_over()
        server, connection = self._process, self._socket  # of this worker, whatever comes later
        return WorkerProcess(pid, streams, lambda: self._wait_for(pid, server, connection))

    def renew(self) -> None:
        """Put another server in the place of this one, which ends with any worker left.

        Forked workers have the server's address space, addresses and all, and where things lie
        makes a network faster or slower by some percent.
        """
        self.close()
        self._start()

    def wait(self) -> None:
        """Wait for the server's imports."""
        self.launch().close()

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

    def _wait_for(
        self, pid: int, server: "subprocess.Popen[bytes]", connection: socket.socket
    ) -> int:
        try:
            connection.sendall(WAIT + pid.to_bytes(NUMBER_BYTES, "big"))
            return self._number(connection)
        except OSError:  # the server is gone, and its workers with it
            with contextlib.suppress(subprocess.TimeoutExpired):
                server.wait(GRACE_S)
            return -signal.SIGKILL

    def _number(self, connection: socket.socket) -> int:
        connection.settimeout(START_LIMIT_S)
        answer = connection.recv(NUMBER_BYTES)
        if not answer:
            raise ConnectionResetError
        return int.from_bytes(answer, "big", signed=True)

    def _gone(self) -> WorkerError:
        status = self._process.wait()
        return WorkerError("start", f"the fork server {ending(status)}", tail(self._stderr))


def launcher(
    environment: Mapping[str, str],
    imports: Sequence[str],
    cpus: Collection[int] | None = None,
    *,
    python: str = sys.executable,
    roots: Sequence[Path] = (ROOT,),
) -> Launcher:
    """The quickest way to start workers that is safe here: macOS's frameworks do not like forks.

    ``imports`` names what the workers will need besides torch, so that it is imported once.
    """
    _allow_many_files()
    if platform.system() == "Linux":
        return ForkServer(environment, imports, python, cpus, roots)
    return Spawner(environment, python, cpus, roots)


def _allow_many_files() -> None:
    """Each worker takes a few descriptors, and many systems give a process 1,024 unless asked."""
    import resource

    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):  # macOS: "unlimited" is more than it gives
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _no_interpreter(python: str, error: OSError) -> WorkerError:
    return WorkerError("start", f"cannot run {python} as an interpreter: {error.strerror}")
