"""Launchers: start workers as fresh interpreters, or fork them from a process with torch."""

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

from bench.launch import run_module
from bench.launch.fork_client import WORKER, ForkServerClient
from bench.launch.process import Streams, WorkerProcess, no_interpreter
from bench.machine import driver

ROOT = Path(__file__).resolve().parents[2]


class Launcher(ABC):
    """A way to start workers, with one interpreter and one set of environment variables."""

    def __init__(
        self,
        environment: Mapping[str, str],
        python: str | None = None,
        cpus: Collection[int] | None = None,
        roots: Sequence[Path] = (ROOT,),
    ) -> None:
        """Set the interpreter and the environment of the workers.

        ``python`` is the interpreter; None is that of this process. ``cpus`` are the CPUs that
        workers may run on; None means all CPUs of this process.
        ``roots`` are the folders that come first in the module search path.
        """
        path = os.pathsep.join(filter(None, [*map(str, roots), environment.get("PYTHONPATH")]))
        self._environment = {**environment, "PYTHONPATH": path}
        self._python = python or sys.executable
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
        """Start a worker; raises ``WorkerError`` if that fails."""

    @property
    def pids(self) -> tuple[int, ...]:
        """Ids of the launcher's own processes, except the workers."""
        return (os.getpid(),)

    @property
    def importing_share(self) -> float:
        """Share of the first import time that each set pays; 0 if every worker imports itself."""
        return 0.0

    def renew(self) -> None:  # noqa: B027 - optional: workers may share nothing
        """Replace the state that workers share, so that later workers have a state of their own."""

    def wait(self) -> None:  # noqa: B027 - optional: there may be nothing to wait for
        """Wait until all imports have finished; raises ``WorkerError`` if no worker can start."""

    def check(self) -> None:  # noqa: B027 - optional: there may be no server
        """Raise ``WorkerError`` if the process that starts the workers has ended."""

    def close(self) -> None:  # noqa: B027 - optional: there may be nothing to free
        """Free the resources of the launcher."""

    def _restrict(self, pid: int) -> None:
        """Restrict a process that has just started, and its future children, to ``cpus``."""
        if self._cpus is not None and hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(pid, self._cpus)


class Spawner(Launcher):
    """Starts each worker as a fresh interpreter: slow, but it works on every system."""

    def __init__(
        self,
        environment: Mapping[str, str],
        python: str | None = None,
        cpus: Collection[int] | None = None,
        roots: Sequence[Path] = (ROOT,),
        module: str = WORKER,
    ) -> None:
        """``module`` is the module that the interpreter runs: the worker or an extension of it."""
        super().__init__(environment, python, cpus, roots)
        self._module = module

    def launch(self) -> WorkerProcess:
        """Start a worker in a fresh interpreter."""
        streams = Streams()
        try:
            process = subprocess.Popen(
                [self._python, run_module.FILE, self._module],
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
    """Forks each worker from a process that has already imported torch (forkserver.py)."""

    def __init__(
        self,
        environment: Mapping[str, str],
        imports: Sequence[str] = (),
        python: str | None = None,
        cpus: Collection[int] | None = None,
        roots: Sequence[Path] = (ROOT,),
        ahead: int = 1,
        module: str = WORKER,
    ) -> None:
        """Start ``ahead`` servers: the first is used now, each ``renew`` switches to the next.

        ``module`` is that of the worker or of an extension of it.

        Importing keeps one core busy, so on two cores two servers take hardly longer than one.
        """
        super().__init__(environment, python, cpus, roots)
        self._imports = tuple(imports)
        self._ahead = ahead
        self._module = module
        self._servers: deque[ForkServerClient] = deque()
        self._start()

    def _start(self) -> None:
        """Start servers without waiting for their imports.

        Raises ``WorkerError`` if the interpreter cannot be run.
        """
        for _ in range(self._ahead):
            server = ForkServerClient(self._environment, self._imports, self._python, self._module)
            self._servers.append(server)
            self._restrict(server.pid)

    @property
    def importing_share(self) -> float:
        """The share of one server among those that are started together."""
        return 1 / self._ahead

    @property
    def pids(self) -> tuple[int, ...]:
        """Ids of this process and of the current server."""
        return (os.getpid(), self._servers[0].pid)

    def launch(self) -> WorkerProcess:
        """Fork a worker; the first call waits for the server's imports."""
        return self._servers[0].fork()

    def renew(self) -> None:
        """End the current server, with any remaining workers, and switch to the next one.

        Forked workers inherit the memory layout of their server, and the layout makes a network a
        few percent faster or slower.
        """
        self._servers.popleft().close()
        if not self._servers:
            self._start()

    def wait(self) -> None:
        """Wait for the imports of all servers, so that none imports during a measurement."""
        for server in self._servers:
            server.fork().close()

    def check(self) -> None:
        """Raise ``WorkerError`` if the server has ended, and all workers with it."""
        self._servers[0].check()

    def close(self) -> None:
        """End the servers and any remaining workers."""
        while self._servers:
            self._servers.pop().close()


def launcher(
    environment: Mapping[str, str],
    imports: Sequence[str],
    cpus: Collection[int] | None = None,
    *,
    python: str | None = None,
    roots: Sequence[Path] = (ROOT,),
    ahead: int = 1,
    module: str = WORKER,
) -> Launcher:
    """Return the fastest launcher that is safe on this system.

    Frameworks of macOS do not support forks. CUDA supports them only if it is unused: libraries
    count its devices while they are imported, and a process that is forked afterwards cannot use
    them unless NVML did the counting.

    ``imports`` names modules that the workers need besides torch, so that they are imported once.
    ``ahead`` is the number of fork servers that are started at a time. ``module`` is that of the
    worker or of an extension of it.
    """
    _allow_many_files()
    may_fork = not driver.devices() or driver.can_count_without_cuda(environment)
    if platform.system() == "Linux" and may_fork:
        return ForkServer(environment, imports, python, cpus, roots, ahead, module)
    return Spawner(environment, python, cpus, roots, module)


def _allow_many_files() -> None:
    """Raise the limit of open files: a worker takes a few, and the default is often 1,024."""
    import resource

    _, hard_limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):  # macOS refuses its own "unlimited"
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard_limit, hard_limit))
