"""The fork server: a process that has imported everything once, and forks workers that have too.

Importing torch and torchvision takes 3 to 8 seconds and 700 MB a process; a fork takes
milliseconds and shares both, and the addresses of everything besides. Where code and data lie is
most likely what made a network some percent faster or slower from one server to the next: of
GoogLeNet with a convolution added, the workers of nine servers were from 3 % faster to 8 % slower
than without, where those of the same network agreed. So each set has a server of its own
(bench/engine/run.py).

The server must never run an operator or touch CUDA itself: threads and CUDA contexts do not survive
a fork.

``python -m bench.engine.forkserver FD LIBRARY…`` imports the libraries and serves Unix socket FD.
``FORK`` comes with three file descriptors, to become a worker's standard streams, and is answered
by the worker's process id; ``WAIT`` is followed by a process id, and answered by its exit status
once it has ended. Numbers are eight bytes. The end of the socket ends the server, and the death of
the server ends its workers.
"""

import contextlib
import gc
import importlib
import os
import signal
import socket
import sys
from pathlib import Path

from bench.engine.server import FORK, NUMBER_BYTES, WAIT
from bench.worker import worker
from bench.worker.parent_death import die_with_parent

STREAMS = 3


def serve(connection: socket.socket) -> None:
    """Answer requests until the other end of the socket is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while True:
        request, streams, _, _ = socket.recv_fds(connection, 1, STREAMS)
        if request == FORK:
            answer = _fork(connection, streams)
        elif request == WAIT:
            pid = int.from_bytes(connection.recv(NUMBER_BYTES), "big")
            answer = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        else:
            return
        connection.sendall(answer.to_bytes(NUMBER_BYTES, "big", signed=True))


def _fork(connection: socket.socket, streams: list[int]) -> int:
    """Fork a worker with ``streams`` for its own; its process id, in the server."""
    server = os.getpid()
    pid = os.fork()
    if pid == 0:
        connection.close()
        _become_worker(streams, server)
    os.setpgid(pid, pid)  # so that it can be killed with whatever it starts
    for stream in streams:
        os.close(stream)
    return pid


def _become_worker(streams: list[int], server: int) -> None:
    """Never returns: a forked worker must not run the server's own way out."""
    status = 1
    try:
        die_with_parent(server)
        _die_first()
        for target, stream in enumerate(streams):
            os.dup2(stream, target)
            os.close(stream)
        worker.run()
        status = 0
    except BaseException:  # noqa: BLE001 - the last stop before the process ends
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stderr.flush()
        os._exit(status)


def _die_first() -> None:
    """Be the one that the kernel kills when memory runs out, rather than the server or pytest."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")


if __name__ == "__main__":
    for library in sys.argv[2:]:
        importlib.import_module(library)
    gc.freeze()  # no worker's garbage collection walks, and by that copies, what is shared
    serve(socket.socket(fileno=int(sys.argv[1])))
