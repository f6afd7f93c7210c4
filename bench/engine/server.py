"""A fork server as its user sees it: what to ask for workers. Inside is forkserver.py."""

import contextlib
import signal
import socket
import subprocess
import tempfile
from collections.abc import Mapping, Sequence

from bench.engine.process import (
    GRACE_S,
    Streams,
    WorkerError,
    WorkerProcess,
    no_interpreter,
    tail,
)
from bench.signals import ending

FORK, WAIT = b"F", b"W"  # requests
NUMBER_BYTES = 8

START_LIMIT_S = 300.0  # importing torch takes 3 to 10 s, and minutes from a cold network disk


class Server:
    """A server process, which ends with any worker left once it is closed."""

    def __init__(self, environment: Mapping[str, str], imports: Sequence[str], python: str) -> None:
        """Start it, without waiting for its imports; ``WorkerError`` where there is no Python."""
        self._socket, theirs = socket.socketpair()
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 - closed in close()
        with theirs:
            try:
                self._process = subprocess.Popen(
                    [python, "-m", "bench.engine.forkserver", str(theirs.fileno()), *imports],
                    stdin=subprocess.DEVNULL,
                    stdout=self._stderr,
                    stderr=self._stderr,
                    env=environment,
                    pass_fds=[theirs.fileno()],
                    process_group=0,  # Ctrl-C is for us to handle
                )
            except OSError as error:
                self._socket.close()
                self._stderr.close()
                raise no_interpreter(python, error) from error

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    def fork(self) -> WorkerProcess:
        """Have a worker forked, once the imports are done."""
        streams = Streams()
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
                "start", f"no worker within {START_LIMIT_S:.0f} s", tail(self._stderr)
            ) from None
        except BaseException:
            streams.close()
            raise
        if pid < 1:  # to signal it would be to signal processes of ours
            streams.close()
            self._process.kill()
            raise WorkerError("start", f"the fork server answered {pid} for a process id")
        streams.hand_over()
        return WorkerProcess(pid, streams, lambda: self._wait_for(pid))

    def check(self) -> None:
        """Raise ``WorkerError`` where it is gone, and with it every worker."""
        if self._process.poll() is not None:
            raise self._gone()

    def close(self) -> None:
        """End it, and with it any worker left: at once, for it may be importing for seconds yet."""
        self._socket.close()
        self._process.kill()
        self._process.wait()
        self._stderr.close()

    def _wait_for(self, pid: int) -> int:
        try:
            self._socket.sendall(WAIT + pid.to_bytes(NUMBER_BYTES, "big"))
            return self._number()
        except TimeoutError:
            self._process.kill()  # its late answer would be taken for the next one
        except OSError:
            pass
        with contextlib.suppress(subprocess.TimeoutExpired):  # it is gone, with its workers
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
        return WorkerError("start", f"the fork server {ending(status)}", tail(self._stderr))
