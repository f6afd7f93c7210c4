"""How series and figures are read from the tables."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from operator import attrgetter
from typing import Any, TypeAlias

from sqlalchemy import Connection, Row, select

from bench import names
from bench.errors import RequestError
from bench.history.exported import ExportedFigure
from bench.history.read_runs import of_branch
from bench.history.series import Point, Series
from bench.history.tables import FIGURES, MACHINES, METRICS, RUNS, SERIES

_AT_ONCE = 1000  # series in a list of a statement; SQLite takes 32,766 values
_FETCHED = 10_000  # rows that are fetched at a time
_IN_COMMON = ("cell", "machine", "machine_name", "torch", "threads", "image_size", "reference")
"""What the points of a series agree in: fields of ``Series`` and columns of the tables."""
_Circumstances: TypeAlias = tuple[Any, ...]
_RunFacts: TypeAlias = tuple[str, datetime, str | None, str | None]


def series(
    connection: Connection, pattern: str, metric: str, *, branch: str | None = None
) -> tuple[Series, ...]:
    """Return the series of a metric for the cells that match a pattern.

    Raises ``RequestError`` if no cell matches, if the metric is unknown, or if the cells do not
    have it.
    """
    chosen = _matching(connection, pattern)
    about = _metric(connection, metric)
    runs = _runs(connection, branch)
    is_ratio = about.neutral is not None
    keys = {number: _circumstances(row, is_ratio=is_ratio) for number, row in chosen.items()}
    points: dict[_Circumstances, list[Point]] = {}
    for number, point in _points(_figures(connection, list(chosen), [about.id]), runs):
        points.setdefault(keys[number], []).append(point)
    if not points:
        where = "" if branch is None else f" on the branch {branch!r}"
        raise RequestError(f"no run{where} has the metric {metric} for the cells {pattern!r}")
    return tuple(
        Series(
            metric=about.name,
            unit=about.unit,
            better=about.better,
            neutral=about.neutral,
            points=tuple(sorted(points[key], key=attrgetter("when"))),
            **dict(zip(_IN_COMMON, key, strict=True)),
        )
        for key in sorted(points, key=lambda key: tuple(map(str, key)))
    )


def figures(
    connection: Connection, pattern: str, metric: str | None = None
) -> Iterator[ExportedFigure]:
    """Yield every figure of the cells that match a pattern, or only those of a metric.

    Raises ``RequestError`` if no cell matches or if the metric is unknown.
    """
    chosen = _matching(connection, pattern)
    wanted = _metrics(connection) if metric is None else [_metric(connection, metric)]
    about = {row.id: row for row in wanted}
    runs = _runs(connection, None)
    for number, of_metric, run, value, low, high in _figures(connection, list(chosen), list(about)):
        row = chosen[number]
        run_id, when, commit, branch = runs[run]
        yield ExportedFigure(
            run_id=run_id,
            when=when,
            commit=commit,
            branch=branch,
            **{name: getattr(row, name) for name in _IN_COMMON},
            metric=about[of_metric].name,
            unit=about[of_metric].unit,
            value=value,
            low=low,
            high=high,
        )


def _matching(connection: Connection, pattern: str) -> Mapping[int, Row[Any]]:
    """Return the series of the cells that match a pattern, by their number."""
    rows = connection.execute(
        select(SERIES, MACHINES.c.name.label("machine_name"))
        .join(MACHINES, MACHINES.c.digest == SERIES.c.machine)
        .order_by(SERIES.c.id)
    ).all()
    chosen = {row.id: row for row in rows if names.matches(pattern, row.cell)}
    if not chosen:
        meant = names.hint(pattern, {row.cell: row.cell for row in rows})
        raise RequestError(
            f"no cell of the history matches {pattern!r}, in which only * stands for any text"
            + (f"; {meant}" if meant else "")
        )
    return chosen


def _metrics(connection: Connection) -> Sequence[Row[Any]]:
    return connection.execute(select(METRICS).order_by(METRICS.c.id)).all()


def _metric(connection: Connection, name: str) -> Row[Any]:
    known = {row.name: row for row in _metrics(connection)}
    return names.choose("metric of the history", name, known)


def _runs(connection: Connection, branch: str | None) -> Mapping[int, _RunFacts]:
    """Return each run's id, time, commit and branch by its number."""
    chosen = select(RUNS.c.id, RUNS.c.run_id, RUNS.c.when_utc, RUNS.c.commit_id, RUNS.c.branch)
    rows = connection.execute(of_branch(chosen, branch))
    return {number: (run_id, when, commit, of) for number, run_id, when, commit, of in rows}


def _figures(
    connection: Connection, series_numbers: Sequence[int], metrics: Sequence[int]
) -> Iterator[Sequence[Any]]:
    """Yield the figures of series: the columns of the table, in the order of its primary key."""
    for start in range(0, len(series_numbers), _AT_ONCE):
        part = series_numbers[start : start + _AT_ONCE]
        chosen = (
            select(FIGURES)
            .where(FIGURES.c.series.in_(part), FIGURES.c.metric.in_(metrics))
            .order_by(FIGURES.c.series, FIGURES.c.metric, FIGURES.c.run)
            .execution_options(yield_per=_FETCHED)
        )
        for rows in connection.execute(chosen).partitions():
            yield from rows


def _points(
    rows: Iterator[Sequence[Any]], runs: Mapping[int, _RunFacts]
) -> Iterator[tuple[int, Point]]:
    """Yield the number of the series and the point of each figure, without those of other runs."""
    for series_number, _, run, value, low, high in rows:
        if (facts := runs.get(run)) is None:
            continue
        run_id, when, commit, branch = facts
        yield (
            series_number,
            Point(
                run_id=run_id,
                when=when,
                commit=commit,
                branch=branch,
                value=value,
                low=low,
                high=high,
            ),
        )


def _circumstances(row: Row[Any], *, is_ratio: bool) -> _Circumstances:
    """Return what the points of a series agree in; only ratios depend on the reference."""
    common = (getattr(row, name) for name in _IN_COMMON[:-1])
    return (*common, row.reference if is_ratio else "")
