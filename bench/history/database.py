"""The database of a history: an SQLite file, or a PostgreSQL server by its URL.

SQLite is the default, because it is part of Python and several processes can add to one file; a
file of DuckDB can be open in one process only. The rollback journal is kept instead of WAL: then
the history is one file, which can be copied and cached, also in CI. A process that finds the file
locked waits, because adding a run takes milliseconds.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, NullPool, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError

from bench.error_text import first_line, one_line
from bench.errors import RequestError
from bench.history import migrations
from bench.optional import missing

SQLITE, POSTGRESQL = "sqlite", "postgresql"
EXTRA_OF_POSTGRESQL = "history-postgresql"
LOCK_S = 60.0
"""How long a process waits for another one that writes, in seconds."""
CACHE_KIB = 64 * 1024
"""Memory for pages of a file, at most. A run of 30 cells changes 800 pages of 4 KiB."""
CONNECT_S = 10
"""How long the connection to a server may take, in seconds."""
EXPECTED = "name a path, or postgresql://USER@HOST/DATABASE"
_WRITES = "writes"
_LOCK = 0x676F6F676C656E65  # of this program among a server's advisory locks: "googlene"


@dataclass(frozen=True, slots=True, kw_only=True)
class Database:
    """A database whose errors are sentences."""

    engine: Engine
    name: str
    """The path, or the URL without its password, for messages."""
    path: Path | None
    """The file; None for a server."""

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Yield a connection for reading."""
        with self.told(), self.engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Yield a connection in whose transaction no other process writes.

        Everything or nothing is written. Processes that write at the same time wait for each other.
        """
        options = {_WRITES: True}
        with (
            self.told(),
            self.engine.connect().execution_options(**options) as connection,
            connection.begin(),
        ):
            if self.engine.dialect.name == POSTGRESQL:
                connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")
            yield connection

    @contextmanager
    def told(self) -> Iterator[None]:
        """Raise ``RequestError`` with the database's name for its errors."""
        try:
            yield
        except (SQLAlchemyError, migrations.UnusableError) as error:
            raise RequestError(f"cannot use the history {self.name}: {_fault(error)}") from error


def connect(place: str) -> Database:
    """Return the database at a path or URL, without opening it.

    Raises ``RequestError`` if the URL is not that of SQLite or PostgreSQL, or if the driver of
    PostgreSQL is not installed.
    """
    url = _url(place)
    if url.get_backend_name() == SQLITE:
        name = str(url.database)
        engine = create_engine(url, poolclass=NullPool, connect_args={"timeout": LOCK_S})
        _begin_explicitly(engine)
        return Database(engine=engine, name=name, path=Path(name))
    name = url.set(drivername=POSTGRESQL).render_as_string(hide_password=True)
    if absent := missing(f"the history {name}", ["psycopg"], EXTRA_OF_POSTGRESQL):
        raise RequestError(absent)
    # Without an encoding, a database of SQL_ASCII would return bytes.
    arguments = {"connect_timeout": CONNECT_S, "client_encoding": "utf8"}
    try:
        engine = create_engine(url, poolclass=NullPool, connect_args=arguments)
    except ImportError as error:  # psycopg is there, but not the library of PostgreSQL
        raise RequestError(
            f"the history {name} needs psycopg, which cannot be imported ({one_line(error)}): "
            f'pip install "googlenet-bench[{EXTRA_OF_POSTGRESQL}]"'
        ) from error
    return Database(engine=engine, name=name, path=None)


def prepare(database: Database, *, create: bool) -> None:
    """Bring the tables to the present version.

    Raises ``RequestError`` if the database cannot be used, or if it has no history and ``create``
    is false.
    """
    nothing = RequestError(
        f"there is no history at {database.name}: add a run with googlenet-bench history add RUN"
    )
    if database.path is not None:
        _check(database.path)
        if not database.path.exists():
            if not create:
                raise nothing
            _make_folder(database.path.parent)
    with database.reading() as connection:
        number = migrations.stored(connection)
        if migrations.is_present(number):
            return
    if number is None and not create:
        raise nothing
    with database.writing() as connection:
        migrations.apply(connection)


def _url(place: str) -> URL:
    if "://" not in place:
        return URL.create(SQLITE, database=place)
    try:
        url = make_url(place)
    except (ArgumentError, ValueError) as error:  # the latter if the port is no number
        raise RequestError(f"the URL of the history cannot be read; {EXPECTED}") from error
    kind = url.get_backend_name()
    if kind == SQLITE and url.database:
        return URL.create(SQLITE, database=url.database)
    if kind in {POSTGRESQL, "postgres"}:
        return url.set(drivername=f"{POSTGRESQL}+psycopg")
    raise RequestError(
        f"a history is a file of SQLite or a database of PostgreSQL, not of {kind}; {EXPECTED}"
    )


def _begin_explicitly(engine: Engine) -> None:
    """Begin transactions here, because the driver would begin those that write too late.

    Two transactions that have read before they write would end with an error at once. The cache
    holds every page that a run changes: pages that do not fit are written twice.
    """

    @event.listens_for(engine, "connect")
    def _(connection: sqlite3.Connection, _record: Any) -> None:
        connection.isolation_level = None
        connection.execute(f"PRAGMA cache_size = {-CACHE_KIB}")

    @event.listens_for(engine, "begin")
    def _(connection: Connection) -> None:
        writes = connection.get_execution_options().get(_WRITES)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _check(path: Path) -> None:
    if path.is_dir():
        raise RequestError(f"cannot use the history {path}: it is a folder, and not a file")


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RequestError(f"cannot make the folder {folder}: {error.strerror}") from error


def _fault(error: Exception) -> str:
    """Return the database's own reason, without the statement that failed."""
    reason = error.orig if isinstance(error, DBAPIError) and error.orig else error
    return first_line(str(reason)) or type(reason).__name__
