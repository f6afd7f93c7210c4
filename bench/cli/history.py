"""The command ``history``: runs are kept in a database, and listed. It needs no torch."""

import argparse
from pathlib import Path

import pandas as pd

from bench.api import values
from bench.api.history import read_entry
from bench.cli import history_gate, history_trend
from bench.cli.command import Commands, Output, Parser, Purpose
from bench.cli.history_actions import Actions, add_branch, opened
from bench.columns import Column
from bench.errors import RequestError
from bench.exits import Exit
from bench.history import report
from bench.tables import FORMATS, PROSE, escaped
from bench.units import counted

MOST_LISTED = 30
"""How many runs a table for people shows."""
ADDED_COLUMNS = (
    Column(name="file", heading="file", is_text=True, wraps=True),
    Column(name="outcome", heading="outcome", is_text=True),
    Column(name="kind", heading="kind", is_text=True, rank=1),
    Column(name="run_id", heading="run", is_text=True),
    Column(name="cells", heading="cells"),
)


def add(commands: Commands) -> None:
    """Add the command and its actions."""
    parser = commands.add(
        "history",
        _without_action,
        "keep runs in a database, and show how figures change from run to run",
        Purpose.READ,
        details="It needs no torch. The history is a file of SQLite, or a database of a "
        "PostgreSQL server, whose password is read from PGPASSWORD or ~/.pgpass.",
        has_tables=False,
    )
    actions = Actions(parser.add_subparsers(metavar="ACTION", required=True, parser_class=Parser))
    adding = actions.add(
        "add",
        _add,
        "add runs",
        details="A run that the history has already is not added again; a run that was resumed "
        "since replaces its earlier state. If one of several files cannot be read, the others are "
        "added, and the exit code is 2.",
    )
    adding.add_argument(
        "run",
        type=Path,
        nargs="+",
        metavar="RUN",
        help="run files (.json), folders with one, or JSON files of pytest-benchmark from other "
        "projects",
    )
    listing = actions.add("list", _list, "list the runs")
    listing.add_argument(
        "--last",
        metavar="N",
        help=f"only the N most recent runs (all in CSV and JSON, otherwise {MOST_LISTED})",
    )
    add_branch(listing)
    showing = actions.add("show", _show, "show a run")
    showing.add_argument(
        "run_id", metavar="RUN", help="the beginning of a run's id, or latest: the most recent run"
    )
    history_trend.add(actions)
    history_gate.add(actions)


def _without_action(_: argparse.Namespace) -> Output:
    raise RequestError("history needs an action: googlenet-bench history --help lists them")


def _add(options: argparse.Namespace) -> Output:
    history = opened(options, create=True)
    rows, errors = [], []
    for path in dict.fromkeys(options.run):
        try:
            entry = read_entry(path)
        except RequestError as error:
            errors.append(str(error))
            continue
        outcome = history.add(entry)
        rows.append(
            {
                "file": str(path),
                "outcome": str(outcome),
                "kind": entry.kind,
                "run_id": entry.run_id,
                "cells": len(entry.cells),
            }
        )
    if not rows:
        return Output("", Exit.WRONG_REQUEST, tuple(errors))
    table = FORMATS[options.format](ADDED_COLUMNS, pd.DataFrame(rows))
    return Output(table, Exit.WRONG_REQUEST if errors else Exit.FINE, tuple(errors))


def _list(options: argparse.Namespace) -> Output:
    history = opened(options)
    last = None if options.last is None else values.at_least(1)(options.last, "--last")
    is_prose = options.format in PROSE
    shown = history.runs(
        last=MOST_LISTED if last is None and is_prose else last, branch=options.branch
    )
    table = FORMATS[options.format](*report.runs(shown))
    total = history.count(branch=options.branch)
    if is_prose and len(shown) < total:
        left = f"The {len(shown)} most recent of {counted(total, 'run')}; --last N shows N."
        table = f"{table}\n\n{left}"
    return Output(table)


def _show(options: argparse.Namespace) -> Output:
    entry = opened(options).run(options.run_id)
    table = FORMATS[options.format](*report.cells(entry))
    if options.format not in PROSE:
        return Output(table)
    about = report.about(entry)
    return Output(f"{escaped(about) if options.format == 'markdown' else about}\n\n{table}")
