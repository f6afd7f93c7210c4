"""Starting workers: as fresh interpreters, or forked from one that has imported torch already."""

import contextlib
import os
import platform
import subprocess
import sys
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from bench.engine.process import Streams, WorkerProcess, no_interpreter
from bench.engine.server import Server
from bench.machine import driver

ROOT = Path(__file__).resolve().parents[2]


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

    @property
    def importing_share(self) -> float:
        """The share of the first importing that each set costs; 0 where every worker imports."""
        return 0.0

    def renew(self) -> None:  # noqa: B027 - most share nothing
        """Begin anew what workers have in common, so that later ones do not share it with these."""

    def wait(self) -> None:  # noqa: B027 - most have nothing to wait for
        """Wait until nothing is being imported; raises ``WorkerError`` where none ever starts."""

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
            raise no_interpreter(self._python, error) from error
        self._restrict(process.pid)
        streams.hand_over()
        return WorkerProcess(process.pid, streams, process.wait)


class ForkServer(Launcher):
    """Forks each worker from one process that has imported torch already (forkserver.py)."""

    def __init__(
        self,
        environment: Mapping[str, str],
        imports: Sequence[str] = (),
        python: str = sys.executable,
        cpus: Collection[int] | None = None,
        roots: Sequence[Path] = (ROOT,),
        ahead: int = 1,
    ) -> None:
        """``ahead`` servers are started at a time: one to work with, others to be renewed with.

        Importing keeps one core busy, so that on two cores two take hardly longer than one.
        """
        super().__init__(environment, python, cpus, roots)
        self._imports = tuple(imports)
        self._ahead = ahead
        self._servers: deque[Server] = deque()
        self._start()

    def _start(self) -> None:
        """Start servers, which go on importing; raises ``WorkerError`` without interpreter."""
        for _ in range(self._ahead):
            server = Server(self._environment, self._imports, self._python)
            self._servers.append(server)
            self._restrict(server.pid)

    @property
    def importing_share(self) -> float:
        """One server's, of those that were started together."""
        return 1 / self._ahead

    @property
    def pids(self) -> tuple[int, ...]:
        """This process and the server."""
        return (os.getpid(), self._servers[0].pid)

    def launch(self) -> WorkerProcess:
        """Have a worker forked; the first one waits for the server's imports."""
        return self._servers[0].fork()

    def renew(self) -> None:
        """Put another server in the place of this one, which ends with any worker left.

        Forked workers have the server's address space, addresses and all, and where things lie
        makes a network faster or slower by some percent.
        """
        self._servers.popleft().close()
        if not self._servers:
            self._start()

    def wait(self) -> None:
        """Wait for the imports of every server: none is to import while others work."""
        for server in self._servers:
            server.fork().close()

    def check(self) -> None:
        """Raise ``WorkerError`` where the server is gone, and with it every worker."""
        self._servers[0].check()

    def close(self) -> None:
        """End the servers, and with them any worker left."""
        while self._servers:
            self._servers.pop().close()


def launcher(
    environment: Mapping[str, str],
    imports: Sequence[str],
    cpus: Collection[int] | None = None,
    *,
    python: str = sys.executable,
    roots: Sequence[Path] = (ROOT,),
    ahead: int = 1,
) -> Launcher:
    """The quickest way to start workers that is safe here.

    macOS's frameworks do not like forks, nor does CUDA: libraries count its devices while they are
    imported, and what is forked after that cannot use them unless NVML did the counting.

    ``imports`` names what the workers will need besides torch, so that it is imported once;
    ``ahead`` is how many fork servers are started at a time.
    """
    _allow_many_files()
    may_fork = not driver.devices() or driver.is_counted_untouched(environment)
    if platform.system() == "Linux" and may_fork:
        return ForkServer(environment, imports, python, cpus, roots, ahead)
    return Spawner(environment, python, cpus, roots)


def _allow_many_files() -> None:
    """Each worker takes a few descriptors, and many systems give a process 1,024 unless asked."""
    import resource

    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):  # macOS: "unlimited" is more than it gives
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
