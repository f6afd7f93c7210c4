"""Databases of earlier versions are brought to the present one; newer ones are refused."""

import sqlite3
from collections.abc import Mapping
from pathlib import Path

import pytest
from sqlalchemy import Connection

from bench.history import migrations
from bench.history.database import connect
from bench.history.migrations import Step, UnusableError
from bench.history.store import open_store
from tests.bench import runs
from tests.bench.history import made

VERSION_1 = Path(__file__).with_name("files") / "version-1.sql"


def made_from(dump: Path, folder: Path) -> Path:
    path = folder / "history.db"
    with sqlite3.connect(path) as connection:
        connection.executescript(dump.read_text(encoding="utf-8"))
    connection.close()
    return path


def test_a_file_of_version_1_is_read(tmp_path: Path) -> None:
    store = open_store(str(made_from(VERSION_1, tmp_path)))
    (series,) = store.series(runs.EAGER.id, made.RATIO)
    expected = [made.figures(made.entry(day), runs.EAGER.id)[made.RATIO] for day in range(2)]
    assert [(point.value, point.low, point.high) for point in series.points] == [
        (figure.value, figure.low, figure.high) for figure in expected
    ]
    store.add(made.entry(2))
    assert store.count() == 3


def test_the_tables_of_version_1_are_those_that_are_made(tmp_path: Path) -> None:
    """A step must lead to the tables that a new history gets."""
    old = made_from(VERSION_1, tmp_path)
    open_store(str(old))
    new = tmp_path / "new.db"
    open_store(str(new), create=True)
    assert declared(old) == declared(new)


def declared(path: Path) -> dict[str, list[tuple[object, ...]]]:
    """Return the columns of each table, with its indices."""
    with sqlite3.connect(path) as connection:
        names = [row[0] for row in connection.execute("SELECT name FROM sqlite_master")]
        found = {
            name: [
                row
                for pragma in ("table_info", "index_info", "foreign_key_list")
                for row in connection.execute(f"PRAGMA {pragma}({name})")
            ]
            for name in names
        }
    connection.close()
    return found


def test_steps_are_applied_in_order_and_once(tmp_path: Path) -> None:
    path = made_from(VERSION_1, tmp_path)
    done = []

    def add_column(connection: Connection) -> None:
        done.append(2)
        connection.exec_driver_sql("ALTER TABLE history_runs ADD COLUMN note TEXT")

    def fill_column(connection: Connection) -> None:
        done.append(3)
        connection.exec_driver_sql("UPDATE history_runs SET note = 'early'")

    steps: Mapping[int, Step] = {2: add_column, 3: fill_column}
    database = connect(str(path))
    for _ in range(2):
        with database.writing() as connection:
            migrations.apply(connection, steps)
    assert done == [2, 3]
    with database.reading() as connection:
        assert migrations.stored(connection) == 3
        assert set(connection.exec_driver_sql("SELECT note FROM history_runs").scalars()) == {
            "early"
        }


def test_a_step_that_fails_changes_nothing(tmp_path: Path) -> None:
    path = made_from(VERSION_1, tmp_path)

    def fail(connection: Connection) -> None:
        connection.exec_driver_sql("DELETE FROM history_figures")
        raise UnusableError("it cannot be converted")

    with (
        pytest.raises(ValueError, match="it cannot be converted"),
        connect(str(path)).writing() as connection,
    ):
        migrations.apply(connection, {2: fail})
    assert open_store(str(path)).series(runs.EAGER.id, made.RATIO)


def test_a_newer_database_is_refused(tmp_path: Path) -> None:
    path = made_from(VERSION_1, tmp_path)
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE history_version SET number = 7")
    connection.close()
    with pytest.raises(ValueError, match=r"it has version 7, but .* up to 1: update"):
        open_store(str(path))
