"""The client of a fork server: starts the server process and requests workers from it.

The server itself is forkserver.py.
"""

import contextlib
import signal
import socket
import subprocess
import tempfile
from collections.abc import Mapping, Sequence

from bench.launch import run_module
from bench.launch.process import GRACE_S, Streams, WorkerError, WorkerProcess, no_interpreter, tail
from bench.signals import ending

WORKER = "bench.worker.worker"  # the module of a worker, unless another extends it
FORK, WAIT = b"F", b"W"  # requests
NUMBER_BYTES = 8

START_LIMIT_S = 300.0  # importing torch takes 3 to 10 s, and minutes from a cold network disk


class ForkServerClient:
    """A fork server process; closing it also ends its remaining workers."""

    def __init__(
        self,
        environment: Mapping[str, str],
        imports: Sequence[str],
        python: str,
        module: str = WORKER,
    ) -> None:
        """Start the server without waiting for its imports.

        Raises ``WorkerError`` if the interpreter cannot be run.
        """
        self._socket, server_socket = socket.socketpair()
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 - closed in close()
        with server_socket:
            try:
                self._process = subprocess.Popen(
                    [
                        python,
                        run_module.FILE,
                        "bench.launch.forkserver",
                        str(server_socket.fileno()),
                        module,
                        *imports,
                    ],
                    stdin=subprocess.DEVNULL,
                    stdout=self._stderr,
                    stderr=self._stderr,
                    env=environment,
                    pass_fds=[server_socket.fileno()],
                    process_group=0,  # so that only this process gets Ctrl-C
                )
            except OSError as error:
                self._socket.close()
                self._stderr.close()
                raise no_interpreter(python, error) from error

    @property
    def pid(self) -> int:
        """Process id of the server."""
        return self._process.pid

    def fork(self) -> WorkerProcess:
        """Fork a worker, after the imports have finished."""
        streams = Streams()
        try:
            socket.send_fds(self._socket, [FORK], streams.for_worker)
            pid = self._number()
        except ConnectionError:
            streams.close()
            raise self._gone() from None
        except TimeoutError:
            streams.close()
            self._process.kill()  # a late reply would be mistaken for the reply to the next request
            raise WorkerError(
                "start",
                f"the fork server started no worker within {START_LIMIT_S:.0f} s",
                tail(self._stderr),
            ) from None
        except BaseException:
            streams.close()
            raise
        if pid < 1:  # a signal to such an id would reach other processes of this run
            streams.close()
            self._process.kill()
            raise WorkerError("start", f"the fork server sent {pid}, which is not a process id")
        streams.hand_over()
        return WorkerProcess(pid, streams, lambda: self._wait_for(pid))

    def check(self) -> None:
        """Raise ``WorkerError`` if the server has ended, and all workers with it."""
        if self._process.poll() is not None:
            raise self._gone()

    def close(self) -> None:
        """Kill the server and its remaining workers, without waiting for its imports."""
        self._socket.close()
        self._process.kill()
        self._process.wait()
        self._stderr.close()

    def _wait_for(self, pid: int) -> int:
        try:
            self._socket.sendall(WAIT + pid.to_bytes(NUMBER_BYTES, "big"))
            return self._number()
        except TimeoutError:
            self._process.kill()  # a late reply would be mistaken for the reply to the next request
        except OSError:
            pass
        with contextlib.suppress(subprocess.TimeoutExpired):  # give the server time to end
            self._process.wait(GRACE_S)
        return -signal.SIGKILL

    def _number(self) -> int:
        self._socket.settimeout(START_LIMIT_S)
        reply = self._socket.recv(NUMBER_BYTES)
        if not reply:
            raise ConnectionResetError
        return int.from_bytes(reply, "big", signed=True)

    def _gone(self) -> WorkerError:
        status = self._process.wait()
        return WorkerError("start", f"the fork server {ending(status)}", tail(self._stderr))
