"""Databases that cannot be used, and processes that write at the same time."""

import socket
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from bench.errors import RequestError
from bench.history.store import open_store
from tests.bench import runs
from tests.bench.history import made
from tests.limits import HANG_S

PROCESSES, EACH = 2, 10
ADD = f"""
import sys
from bench.history.store import open_store
from tests.bench.history import made

store = open_store(sys.argv[1], create=True)
print("ready", flush=True)
sys.stdin.readline()
for day in range(int(sys.argv[2]), {PROCESSES * EACH}, {PROCESSES}):
    store.add(made.entry(day))
"""


def refused(place: Path | str, *, create: bool = False) -> str:
    with pytest.raises(RequestError) as raised:
        open_store(str(place), create=create)
    message = str(raised.value)
    assert "\n" not in message
    return message


def test_a_history_that_is_not_there_is_not_made_by_reading(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    assert refused(path) == (
        f"there is no history at {path}: add a run with googlenet-bench history add RUN"
    )
    assert not path.exists()


def test_a_damaged_file_is_refused_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    path.write_bytes(b"not a database, and longer than the header of one" * 100)
    before = path.read_bytes()
    for create in (False, True):
        assert refused(path, create=create) == (
            f"cannot use the history {path}: file is not a database"
        )
    assert path.read_bytes() == before


def test_a_database_of_another_program_is_refused_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "cookies.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE cookies (name TEXT)")
    connection.close()
    before = path.read_bytes()
    for create in (False, True):
        assert refused(path, create=create).endswith(
            "it is a database of another program, with the table cookies"
        )
    assert path.read_bytes() == before


def test_a_database_without_a_version_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    open_store(str(path), create=True)
    with sqlite3.connect(path) as connection:
        connection.execute("DELETE FROM history_version")
    connection.close()
    assert refused(path).endswith("it is damaged: it does not say which version it has")


def test_a_folder_is_no_database(tmp_path: Path) -> None:
    assert refused(tmp_path, create=True).endswith("it is a folder, and not a file")
    (tmp_path / "file").touch()
    assert "cannot make the folder" in refused(tmp_path / "file" / "history.db", create=True)


@pytest.mark.parametrize("place", ["mysql://user:secret@host/db", "sqlite://", "duckdb:///a.db"])
def test_other_databases_are_refused(place: str) -> None:
    message = refused(place, create=True)
    assert "is a file of SQLite or a database of PostgreSQL" in message
    assert "secret" not in message


def test_a_url_that_cannot_be_read_is_refused_without_its_password() -> None:
    message = refused("postgresql://user:secret@host:port/db")
    assert "cannot be read; name a path, or postgresql://USER@HOST/DATABASE" in message
    assert "secret" not in message


def test_a_url_of_a_file_is_its_path(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    open_store(f"sqlite:///{path}", create=True).add(made.entry(0))
    assert open_store(str(path)).count() == 1


def test_a_server_that_cannot_be_reached_is_told_without_the_password() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))  # bound, and not listening
        port = free.getsockname()[1]
        message = refused(f"postgresql://bench:secret@127.0.0.1:{port}/history", create=True)
    assert f"cannot use the history postgresql://bench:***@127.0.0.1:{port}/history" in message
    assert "refused" in message
    assert "secret" not in message


def test_processes_that_add_at_the_same_time_all_succeed(tmp_path: Path) -> None:
    """The first to come makes the tables."""
    path = tmp_path / "history.db"
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", ADD, str(path), str(number)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(PROCESSES)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    for process in processes:
        assert process.communicate(timeout=HANG_S)[1] == ""
        assert process.returncode == 0
    (series,) = open_store(str(path)).series(runs.EAGER.id, made.RATIO)
    assert len(series.points) == PROCESSES * EACH


def test_a_file_that_stays_locked_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "history.db"
    open_store(str(path), create=True).add(made.entry(0))
    monkeypatch.setattr("bench.history.database.LOCK_S", 0.1)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        assert refused(path) == f"cannot use the history {path}: database is locked"
    assert open_store(str(path)).count() == 1
