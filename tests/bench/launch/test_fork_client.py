"""Fork servers that reply wrongly or not at all, each in a process of its own."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bench.launch import fork_client
from bench.launch.fork_client import ForkServerClient
from bench.launch.process import WorkerError
from tests.limits import HANG_S

PROGRAM = """
import os, socket, sys, time
connection = socket.socket(fileno=int(sys.argv[3]))

def answer(number):
    connection.sendall(number.to_bytes(8, "big", signed=True))

_, streams, _, _ = socket.recv_fds(connection, 1, 3)
{rest}
time.sleep(600)
"""

Starts = Callable[[str], ForkServerClient]


@pytest.fixture
def starts(tmp_path: Path) -> Iterator[Starts]:
    """Return a function that starts a server, which runs the given code on its first request."""
    started = []

    def start(rest: str) -> ForkServerClient:
        program, python = tmp_path / "program.py", tmp_path / "python"
        program.write_text(PROGRAM.format(rest=rest))
        python.write_text(f'#!/bin/sh\nexec {sys.executable} {program} "$@"\n')
        python.chmod(0o755)
        started.append(ForkServerClient(os.environ, (), str(python)))
        return started[-1]

    yield start
    for process in started:
        process.close()


@contextmanager
def is_killed(process: ForkServerClient) -> Iterator[None]:
    """Check that the server is killed by the end of the block."""
    yield
    process._process.wait(HANG_S)
    with pytest.raises(WorkerError, match="the fork server was killed by SIGKILL"):
        process.check()


@pytest.mark.workers
@pytest.mark.parametrize("number", [0, -9])
def test_an_invalid_process_id_is_not_signalled(starts: Starts, number: int) -> None:
    """A signal to process group 0 would end the tests themselves."""
    process = starts(f"answer({number})")
    with (
        is_killed(process),
        pytest.raises(WorkerError, match=f"sent {number}, which is not a process id") as caught,
    ):
        process.fork()
    assert caught.value.kind == "start"


@pytest.mark.workers
def test_a_server_that_does_not_reply_with_an_exit_status_is_killed(
    starts: Starts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A late reply would be mistaken for the process id of the next worker."""
    process = starts("pid = os.fork()\nif pid:\n    os.setpgid(pid, pid)\n    answer(pid)")
    worker = process.fork()
    monkeypatch.setattr(fork_client, "START_LIMIT_S", 0.2)
    with is_killed(process):
        worker.kill()
