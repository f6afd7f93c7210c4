"""The action ``gate`` of the command ``history``: a verdict on the most recent runs."""

import argparse
from collections.abc import Sequence

from bench.api import values
from bench.cli.command import Output
from bench.cli.history_actions import Actions, add_branch, opened
from bench.cli.history_trend import add_cell, add_metric, find_series
from bench.columns import filled
from bench.errors import RequestError
from bench.gate.verdict import Verdict
from bench.history import judge
from bench.history.judge import COLUMNS, LAST_RUNS, LEVEL, Judgement
from bench.tables import FORMATS, PROSE
from bench.units import counted

_MOST_LEVEL = 0.5


def add(actions: Actions) -> None:
    """Add the action."""
    gate = actions.add(
        "gate",
        _gate,
        "say whether the most recent runs regressed",
        details="It searches each series that has one of the most recent runs of its cell for "
        "changes of level. Exit code 1: a series regressed in its last runs, and later runs did "
        "not undo it. 3: a series has too few runs for a verdict. 0: neither. Improvements are "
        "shown and cost nothing.",
    )
    add_cell(gate)
    add_metric(gate)
    gate.add_argument(
        "--last",
        metavar="N",
        help=f"a change within the N most recent runs of a series counts ({LAST_RUNS})",
    )
    gate.add_argument(
        "--level",
        metavar="SHARE",
        help="the chance of a false alarm in an unchanged series at one look "
        f"({LEVEL:g}, which suits a look after every run)",
    )
    add_branch(gate)


def _gate(options: argparse.Namespace) -> Output:
    last = LAST_RUNS if options.last is None else values.at_least(1)(options.last, "--last")
    level = LEVEL if options.level is None else _level(options.level)
    found = find_series(opened(options), options.cell, options.metric, options.branch)
    judged = judge.judge(found, last=last, level=level)
    rows = judge.frame(judged)
    table = FORMATS[options.format](filled(COLUMNS, rows), rows)
    text = f"{table}\n\n{_summary(judged, last)}" if options.format in PROSE else table
    return Output(text, judge.exit_code(judged))


def _summary(judged: Sequence[Judgement], last: int) -> str:
    verdicts = [each.verdict for each in judged]
    counts = (f"{verdicts.count(verdict)} {verdict.value}" for verdict in Verdict)
    return f"{counted(last, 'run')} looked at in {len(judged)} series: {', '.join(counts)}."


def _level(text: str) -> float:
    try:
        level = float(text)
    except ValueError:
        level = -1.0
    if not 0.0001 <= level <= _MOST_LEVEL:
        raise RequestError(f"--level takes a share from 0.0001 to {_MOST_LEVEL:g}, not {text!r}")
    return level
