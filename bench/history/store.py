"""The store: runs go in, each once, and come out as entries and series."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bench.history import database as databases
from bench.history import read_figures, read_runs, writing
from bench.history.database import Database
from bench.history.entry import Entry
from bench.history.exported import ExportedFigure
from bench.history.listed import ListedRun
from bench.history.series import Series
from bench.history.writing import Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """A history. Every method raises ``RequestError`` if the database cannot be used."""

    database: Database

    def add(self, entry: Entry) -> Outcome:
        """Add a run, unless the history has it."""
        with self.database.writing() as connection:
            return writing.add(connection, entry)

    def runs(self, *, last: int | None = None, branch: str | None = None) -> Sequence[ListedRun]:
        """Return the runs in time order, or only the most recent ones, or those of a branch."""
        with self.database.reading() as connection:
            return read_runs.runs(connection, last=last, branch=branch)

    def count(self, *, branch: str | None = None) -> int:
        """Return the number of runs, or of those of a branch."""
        with self.database.reading() as connection:
            return read_runs.count(connection, branch=branch)

    def run(self, beginning: str) -> Entry:
        """Return the run whose id begins like this; ``latest`` is the most recent one.

        Raises ``RequestError`` if there is none, or if there are several.
        """
        with self.database.reading() as connection:
            return read_runs.run(connection, beginning)

    def series(self, pattern: str, metric: str, *, branch: str | None = None) -> tuple[Series, ...]:
        """Return the series of a metric for the cells that match a pattern, ``*`` being any text.

        There is one for each cell, machine, version of torch and number of threads. ``branch``:
        only the runs of a branch. Raises ``RequestError`` if no cell or no metric has this name, or
        if the cells do not have the metric.
        """
        with self.database.reading() as connection:
            return read_figures.series(connection, pattern, metric, branch=branch)

    def figures(self, pattern: str, metric: str | None = None) -> Iterator[ExportedFigure]:
        """Yield every figure of the cells that match a pattern, or only those of a metric.

        Raises ``RequestError`` like ``series``.
        """
        with self.database.reading() as connection:
            yield from read_figures.figures(connection, pattern, metric)


def open_store(place: str, *, create: bool = False) -> Store:
    """Return the history at a path or URL; with ``create``, make it if there is none.

    Raises ``RequestError`` if it cannot be used.
    """
    database = databases.connect(place)
    databases.prepare(database, create=create)
    return Store(database=database)
