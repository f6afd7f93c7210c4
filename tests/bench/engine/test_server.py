"""Servers that answer as none should, each a process of its own."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bench.engine import server
from bench.engine.process import WorkerError
from bench.engine.server import Server

PROGRAM = """
import os, socket, sys, time
connection = socket.socket(fileno=int(sys.argv[3]))

def answer(number):
    connection.sendall(number.to_bytes(8, "big", signed=True))

_, streams, _, _ = socket.recv_fds(connection, 1, 3)
{rest}
time.sleep(600)
"""

Starts = Callable[[str], Server]


@pytest.fixture
def starts(tmp_path: Path) -> Iterator[Starts]:
    """A server that does what it is told once a worker is asked for."""
    started = []

    def start(rest: str) -> Server:
        program, python = tmp_path / "program.py", tmp_path / "python"
        program.write_text(PROGRAM.format(rest=rest))
        python.write_text(f'#!/bin/sh\nexec {sys.executable} {program} "$@"\n')
        python.chmod(0o755)
        started.append(Server(os.environ, (), str(python)))
        return started[-1]

    yield start
    for one in started:
        one.close()


@contextmanager
def is_gone(found: Server) -> Iterator[None]:
    yield
    found._process.wait(10)
    with pytest.raises(WorkerError, match="the fork server was killed by SIGKILL"):
        found.check()


@pytest.mark.parametrize("number", [0, -9])
def test_what_is_no_process_id_is_not_signalled(starts: Starts, number: int) -> None:
    """Signalling process group 0 would end the tests themselves."""
    found = starts(f"answer({number})")
    with (
        is_gone(found),
        pytest.raises(WorkerError, match=f"answered {number} for a process id") as caught,
    ):
        found.fork()
    assert caught.value.kind == "start"


def test_a_server_that_does_not_tell_how_a_worker_ended_is_killed(
    starts: Starts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its late answer would be taken for the process id of the next worker."""
    found = starts("pid = os.fork()\nif pid:\n    os.setpgid(pid, pid)\n    answer(pid)")
    worker = found.fork()
    monkeypatch.setattr(server, "START_LIMIT_S", 0.2)
    with is_gone(found):
        worker.kill()
