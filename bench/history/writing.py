"""How a run is written into the tables, inside a transaction."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

import msgspec
from sqlalchemy import Connection, Table, and_, delete, insert, select
from sqlalchemy.dialects import postgresql, sqlite

from bench.history.entry import CellEntry, Entry, digest
from bench.history.tables import FIGURES, MACHINES, METRICS, RESULTS, RUNS, SERIES

Values = Mapping[str, Any]


class Outcome(StrEnum):
    """What adding a run did."""

    ADDED = "added"
    KNOWN = "already there"
    REPLACED = "replaced"
    """The run was resumed after it had been added: its later state replaces the earlier one."""
    OUTDATED = "already there in a later state"


def add(connection: Connection, entry: Entry) -> Outcome:
    """Add a run, unless the same or a later state of it is there."""
    known = connection.execute(
        select(RUNS.c.id, RUNS.c.when_utc).where(RUNS.c.run_id == entry.run_id)
    ).one_or_none()
    if known is None:
        _insert(connection, entry)
        return Outcome.ADDED
    if known.when_utc >= entry.when:
        return Outcome.KNOWN if known.when_utc == entry.when else Outcome.OUTDATED
    _remove(connection, known.id)
    _insert(connection, entry)
    return Outcome.REPLACED


def _remove(connection: Connection, run: int) -> None:
    """Remove a run. Its series stay, because other runs may have points in them."""
    series = connection.scalars(select(RESULTS.c.series).where(RESULTS.c.run == run)).all()
    metrics = connection.scalars(select(METRICS.c.id)).all()
    # All columns of the primary key are named, so that the database looks up each row.
    rows = and_(FIGURES.c.series.in_(series), FIGURES.c.metric.in_(metrics), FIGURES.c.run == run)
    connection.execute(delete(FIGURES).where(rows))
    connection.execute(delete(RESULTS).where(RESULTS.c.run == run))
    connection.execute(delete(RUNS).where(RUNS.c.id == run))


def _insert(connection: Connection, entry: Entry) -> None:
    _insert_new(connection, MACHINES, [_machine(entry)])
    _insert_new(connection, METRICS, [msgspec.structs.asdict(about) for about in entry.metrics])
    cells = {digest(values): values for values in (_series(cell, entry) for cell in entry.cells)}
    _insert_new(connection, SERIES, [{"key": key, **values} for key, values in cells.items()])
    run = connection.scalar(insert(RUNS).values(_run(entry)).returning(RUNS.c.id))
    series = _ids(connection, SERIES, "key", list(cells))
    metrics = _ids(connection, METRICS, "name", [about.name for about in entry.metrics])
    results: list[Values] = []
    figures: list[Values] = []
    for key, cell in zip(cells, entry.cells, strict=True):
        results.append({"run": run, "series": series[key], "status": cell.status})
        figures += (
            {
                "series": series[key],
                "metric": metrics[figure.metric],
                "run": run,
                "value": figure.value,
                "low": figure.low,
                "high": figure.high,
            }
            for figure in cell.figures
        )
    for table, rows in ((RESULTS, results), (FIGURES, figures)):
        if rows:
            connection.execute(insert(table), rows)


def _insert_new(connection: Connection, table: Table, rows: Sequence[Values]) -> None:
    """Insert the rows that are not there; unique columns tell."""
    if not rows:
        return
    dialect = postgresql if connection.dialect.name == postgresql.dialect.name else sqlite
    connection.execute(dialect.insert(table).on_conflict_do_nothing(), rows)


def _ids(connection: Connection, table: Table, column: str, names: Sequence[str]) -> dict[str, int]:
    rows = connection.execute(select(table.c[column], table.c.id).where(table.c[column].in_(names)))
    return {row[0]: row[1] for row in rows}


def _machine(entry: Entry) -> Values:
    machine = entry.machine
    facts = msgspec.json.encode(machine.facts).decode()
    return {"digest": machine.digest, "name": machine.name, "facts": facts}


def _run(entry: Entry) -> Values:
    return {
        "run_id": entry.run_id,
        "kind": entry.kind,
        "when_utc": entry.when,
        "commit_id": entry.commit,
        "branch": entry.branch,
        "dirty": entry.dirty,
        "code": entry.code,
        "status": entry.status,
        "command": entry.command,
        "machine": entry.machine.digest,
        "torch": entry.torch,
        "python": entry.python,
        "threads": entry.threads,
        "cells": len(entry.cells),
    }


def _series(cell: CellEntry, entry: Entry) -> Values:
    """Return what figures must agree in to be compared."""
    return {
        "cell": cell.cell,
        "arch": cell.arch,
        "mode": cell.mode,
        "dtype": cell.dtype,
        "batch_size": cell.batch_size,
        "task": cell.task,
        "device": cell.device,
        "image_size": cell.image_size,
        "reference": cell.reference,
        "machine": entry.machine.digest,
        "torch": entry.torch,
        "threads": entry.threads,
    }
