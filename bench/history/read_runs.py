"""How runs are read from the tables."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, Select, func, select

from bench.errors import RequestError
from bench.history.entry import About, CellEntry, Entry, Figure, Machine
from bench.history.listed import ListedRun
from bench.history.tables import FIGURES, MACHINES, METRICS, RESULTS, RUNS, SERIES
from bench.units import counted

LATEST = "latest"
"""What stands for the most recent run where an id is asked for."""
_MOST_NAMED = 4  # ids in a message


def runs(
    connection: Connection, *, last: int | None = None, branch: str | None = None
) -> Sequence[ListedRun]:
    """Return the runs in time order, or only the most recent ones, or those of a branch."""
    chosen = of_branch(_latest_first(), branch)
    rows = connection.execute(chosen if last is None else chosen.limit(last)).all()
    return [
        ListedRun(
            run_id=row.run_id,
            kind=row.kind,
            when=row.when_utc,
            branch=row.branch,
            commit=row.commit_id,
            dirty=row.dirty,
            status=row.status,
            machine=row.machine,
            machine_name=row.machine_name,
            torch=row.torch,
            threads=row.threads,
            python=row.python,
            cells=row.cells,
        )
        for row in reversed(rows)
    ]


def count(connection: Connection, *, branch: str | None = None) -> int:
    """Return the number of runs, or of those of a branch."""
    return connection.scalar(of_branch(select(func.count()).select_from(RUNS), branch)) or 0


def of_branch(chosen: Select[Any], branch: str | None) -> Select[Any]:
    """Return a selection of runs, without those of other branches unless ``branch`` is None."""
    return chosen if branch is None else chosen.where(RUNS.c.branch == branch)


def run(connection: Connection, beginning: str) -> Entry:
    """Return the run whose id begins like this; ``LATEST`` is the most recent one.

    Raises ``RequestError`` if there is none, or if there are several.
    """
    row = _latest(connection) if beginning == LATEST else _named(connection, beginning)
    cells = connection.execute(
        select(RESULTS.c.status.label("result"), SERIES)
        .join(SERIES, SERIES.c.id == RESULTS.c.series)
        .where(RESULTS.c.run == row.id)
        .order_by(SERIES.c.id)
    ).all()
    metrics = connection.execute(select(METRICS).order_by(METRICS.c.id)).all()
    names = {metric.id: metric.name for metric in metrics}
    figures = _figures(connection, row.id, [cell.id for cell in cells], names)
    used = {figure.metric for of_cell in figures.values() for figure in of_cell}
    return Entry(
        run_id=row.run_id,
        kind=row.kind,
        when=row.when_utc,
        commit=row.commit_id,
        branch=row.branch,
        dirty=row.dirty,
        code=row.code,
        status=row.status,
        command=row.command,
        machine=Machine(name=row.machine_name, facts=msgspec.json.decode(row.facts)),
        torch=row.torch,
        python=row.python,
        threads=row.threads,
        cells=tuple(_cell(cell, figures[cell.id]) for cell in cells),
        metrics=tuple(_about(metric) for metric in metrics if metric.name in used),
    )


def _latest_first() -> Select[Any]:
    return (
        select(RUNS, MACHINES.c.name.label("machine_name"), MACHINES.c.facts)
        .join(MACHINES, MACHINES.c.digest == RUNS.c.machine)
        .order_by(RUNS.c.when_utc.desc(), RUNS.c.id.desc())
    )


def _latest(connection: Connection) -> Row[Any]:
    row = connection.execute(_latest_first().limit(1)).one_or_none()
    if row is None:
        raise RequestError("the history has no runs")
    return row


def _named(connection: Connection, beginning: str) -> Row[Any]:
    matching = RUNS.c.run_id.startswith(beginning, autoescape=True)
    rows = connection.execute(_latest_first().where(matching)).all()
    exact = [row for row in rows if row.run_id == beginning]
    if len(exact or rows) == 1:
        return (exact or rows)[0]
    if not rows:
        raise RequestError(
            f"the history has no run whose id begins with {beginning!r}: googlenet-bench history "
            f"list shows the ids, and {LATEST!r} is the most recent run"
        )
    some = ", ".join(row.run_id for row in rows[:_MOST_NAMED])
    raise RequestError(
        f"the ids of {counted(len(rows), 'run')} begin with {beginning!r} ({some}"
        f"{', …' if len(rows) > _MOST_NAMED else ''}): give more of the id"
    )


def _figures(
    connection: Connection, run_number: int, series: Sequence[int], names: Mapping[int, str]
) -> dict[int, list[Figure]]:
    """Return the figures of a run by series, in the order of the metrics."""
    figures: dict[int, list[Figure]] = {number: [] for number in series}
    # All columns of the primary key are named, so that the database looks up each row.
    chosen = select(FIGURES).where(
        FIGURES.c.series.in_(series), FIGURES.c.metric.in_(names), FIGURES.c.run == run_number
    )
    for row in connection.execute(chosen.order_by(FIGURES.c.series, FIGURES.c.metric)):
        figures[row.series].append(
            Figure(metric=names[row.metric], value=row.value, low=row.low, high=row.high)
        )
    return figures


def _cell(row: Row[Any], figures: Sequence[Figure]) -> CellEntry:
    return CellEntry(
        cell=row.cell,
        arch=row.arch,
        mode=row.mode,
        dtype=row.dtype,
        batch_size=row.batch_size,
        task=row.task,
        device=row.device,
        image_size=row.image_size,
        reference=row.reference,
        status=row.result,
        figures=tuple(figures),
    )


def _about(row: Row[Any]) -> About:
    return About(name=row.name, unit=row.unit, better=row.better, neutral=row.neutral)
