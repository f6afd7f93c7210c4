"""The fork server: a process that imports all libraries once and then forks workers.

Importing torch and torchvision takes 3 to 8 seconds and 700 MB per process. A fork takes
milliseconds and shares the imported libraries, but also their addresses. Where code and data lie in
memory most likely made a network a few percent faster or slower from one server to the next: the
workers of nine servers ran GoogLeNet with an added convolution from 3 % faster to 8 % slower than
without it, while workers with the same network agreed. So each set has its own server
(bench/engine/run.py).

The server must never run an operator or use CUDA itself: threads and CUDA contexts do not survive a
fork.

``python run_module.py bench.launch.forkserver FD MODULE LIBRARY…`` imports the libraries, and the
module whose ``run`` makes a process a worker, and serves the Unix socket FD. ``FORK`` arrives with
three file descriptors, which become the worker's standard streams; the reply is the worker's
process id. ``WAIT`` is followed by a process id; the reply is the exit status of that process, once
it has ended. Numbers are eight bytes. Closing the socket ends the server, and the end of the server
ends its workers.
"""

import contextlib
import gc
import importlib
import os
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path

from bench.launch.fork_client import FORK, NUMBER_BYTES, WAIT
from bench.worker.parent_death import die_with_parent

STREAMS = 3


def serve(connection: socket.socket, run: Callable[[], object]) -> None:
    """Answer requests until the other end closes the socket; workers call ``run``."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while True:
        request, streams, _, _ = socket.recv_fds(connection, 1, STREAMS)
        if request == FORK:
            reply = _fork(connection, streams, run)
        elif request == WAIT:
            pid = int.from_bytes(connection.recv(NUMBER_BYTES), "big")
            reply = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        else:
            return
        connection.sendall(reply.to_bytes(NUMBER_BYTES, "big", signed=True))


def _fork(connection: socket.socket, streams: list[int], run: Callable[[], object]) -> int:
    """Fork a worker that uses ``streams``; in the server, return its process id."""
    server = os.getpid()
    pid = os.fork()
    if pid == 0:
        connection.close()
        _become_worker(streams, server, run)
    os.setpgid(pid, pid)  # so that it can be killed together with its own child processes
    for stream in streams:
        os.close(stream)
    return pid


def _become_worker(streams: list[int], server: int, run: Callable[[], object]) -> None:
    """Run the worker and exit; never returns, because a worker must not run the server's exit."""
    status = 1
    try:
        die_with_parent(server)
        _prefer_oom_kill()
        for target, stream in enumerate(streams):
            os.dup2(stream, target)
            os.close(stream)
        run()
        status = 0
    except BaseException:  # noqa: BLE001 - the process ends here
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stderr.flush()
        os._exit(status)


def _prefer_oom_kill() -> None:
    """Make the kernel kill this process first when memory runs out, not the server or pytest."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")


if __name__ == "__main__":
    worker, *_ = [importlib.import_module(name) for name in sys.argv[2:]]
    gc.freeze()  # a worker's garbage collection must not visit, and so copy, the shared pages
    serve(socket.socket(fileno=int(sys.argv[1])), worker.run)
