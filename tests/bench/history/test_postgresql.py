"""A history on a PostgreSQL server gives the same answers as a file."""

import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from bench.cli import main
from bench.errors import RequestError
from bench.history.entry import Entry
from bench.history.store import Store, open_store
from bench.history.writing import Outcome
from bench.records import store as run_files
from tests.bench import runs
from tests.bench.history import made, postgres

pytestmark = pytest.mark.slow

THREADS, EACH = 4, 5


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with postgres.server() as found:
        yield found


@pytest.fixture(params=["UTF8"])
def database(url: str, request: pytest.FixtureRequest) -> str:
    """The URL of a database of the test's own, with a table of another program."""
    name = f"history_{len(request.node.name)}_{request.param.lower()}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            sql.SQL("CREATE DATABASE {} ENCODING {} TEMPLATE template0").format(
                sql.Identifier(name), sql.Literal(request.param)
            )
        )
    own = url.replace("/postgres", f"/{name}")
    with psycopg.connect(own) as connection:
        connection.execute("CREATE TABLE runs (of_another_program TEXT)")
    return own


def entries() -> list[Entry]:
    usual = [made.entry(day, 1 + day / 100, command="größer") for day in range(4)]
    resumed = made.entry(2, 2.0, when=usual[2].when + timedelta(hours=1))
    return [*usual, usual[1], resumed, made.entry(4, torch="2.12.0", branch="topic")]


@pytest.mark.parametrize("database", ["UTF8", "SQL_ASCII"], indirect=True)
def test_the_answers_are_those_of_a_file(database: str, tmp_path: Path) -> None:
    stores = [open_store(place, create=True) for place in (database, str(tmp_path / "history.db"))]
    outcomes = [[store.add(entry) for entry in entries()] for store in stores]
    assert outcomes[0] == outcomes[1]
    assert outcomes[0][4:6] == [Outcome.KNOWN, Outcome.REPLACED]
    for ask in (
        lambda store: store.runs(),
        lambda store: store.runs(last=2, branch="main"),
        lambda store: store.count(),
        lambda store: [store.run(entry.run_id) for entry in entries()],
        lambda store: store.series("*", made.RATIO),
        lambda store: store.series("googlenet*", "latency_s", branch="topic"),
        lambda store: list(store.figures("*")),
    ):
        on_server, in_file = map(ask, stores)
        assert on_server == in_file


def test_runs_that_are_added_at_the_same_time_are_all_there(database: str) -> None:
    """Also the tables are made once."""
    failures: list[BaseException] = []

    def add(first: int) -> None:
        try:
            store: Store = open_store(database, create=True)
            for day in range(first, THREADS * EACH, THREADS):
                store.add(made.entry(day))
        except BaseException as error:  # noqa: BLE001 - shown by the test
            failures.append(error)

    threads = [threading.Thread(target=add, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    (series,) = open_store(database).series(runs.EAGER.id, made.RATIO)
    assert len(series.points) == THREADS * EACH


def test_a_database_without_a_history_says_so(database: str) -> None:
    with pytest.raises(RequestError, match="there is no history at postgresql://bench@127"):
        open_store(database)


def test_the_commands_take_a_url(
    database: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "run.json"
    run_files.write(made.run(0), path)
    assert main(["history", "add", str(path), "--history", database]) == 0
    assert main(["history", "trend", "--history", database, "--format", "csv"]) == 0
    out, err = capsys.readouterr()
    assert runs.EAGER.id in out
    assert err == ""
