"""A PostgreSQL server for tests: the real one, on a free port of the loopback interface."""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

USER = "bench"
DEBIAN = Path("/usr/lib/postgresql")
ATTEMPTS = 3  # another process may take the port before the server does
LIMIT_S = 120
QUICKLY = ("--no-sync", "--locale=C", "--encoding=UTF8")


def programs() -> Path:
    """Return the folder of the server's programs, or skip the test."""
    found = sorted(DEBIAN.glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    on_path = shutil.which("initdb")
    if found:
        return found[-1].parent
    if on_path is None:
        pytest.skip("needs PostgreSQL (apt-get install postgresql)")
    return Path(on_path).parent


@contextmanager
def server() -> Iterator[str]:
    """Start a server, and yield the URL of its only database."""
    folder = Path(tempfile.mkdtemp(prefix="googlenet-bench-postgresql-"))
    data = str(folder / "data")
    try:
        if os.geteuid() == 0:
            shutil.chown(folder, "postgres", "postgres")
        _run("initdb", "--pgdata", data, "--username", USER, "--auth=trust", *QUICKLY)
        port = _start(data)
        try:
            yield f"postgresql://{USER}@127.0.0.1:{port}/postgres"
        finally:
            _run("pg_ctl", "--pgdata", data, "--mode=immediate", "--wait", "stop")
    finally:
        shutil.rmtree(folder)


def _start(data: str) -> int:
    """Start the server, and return its port."""
    log = f"{data}.log"
    for attempt in range(ATTEMPTS):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port: int = free.getsockname()[1]
        options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -F"
        try:
            _run("pg_ctl", "--pgdata", data, "--log", log, "--wait", "-o", options, "start")
        except subprocess.CalledProcessError:
            if attempt == ATTEMPTS - 1:
                raise
        else:
            return port
    raise AssertionError


def _run(name: str, *arguments: str) -> None:
    """Run a program of the server; it refuses to run as root."""
    subprocess.run(
        [*_as_another_user(), str(programs() / name), *arguments],
        cwd="/",
        check=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,  # a pipe would stay open with the server
        stderr=subprocess.DEVNULL,
        timeout=LIMIT_S,
        env={**os.environ, "LC_ALL": "C"},
    )


def _as_another_user() -> Sequence[str]:
    return ("runuser", "-u", "postgres", "--") if os.geteuid() == 0 else ()
