"""The actions ``trend`` and ``export`` of the command ``history``."""

import argparse
import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from bench.api import values
from bench.cli import history_page
from bench.cli.command import Output
from bench.cli.history_actions import Actions, add_branch, opened
from bench.errors import RequestError
from bench.history import export, report
from bench.history.from_pytest_benchmark import MEDIAN
from bench.history.series import Series
from bench.metrics.speedup import SPEEDUP
from bench.tables import FORMATS, PROSE, escaped
from bench.units import counted

if TYPE_CHECKING:
    from bench.history.store import Store

DEFAULTS = (SPEEDUP.name, MEDIAN.name)
"""The metrics of a trend if none is named: of runs, and of files of other projects."""
MOST_POINTS = 30
"""How many points of a single series a table for people shows."""
ALL = "*"
NOT_COMPARED = (
    "Each row is a series of its own: figures of different machines, versions of torch, numbers of "
    "threads, sizes of images or references are not compared."
)


def add(actions: Actions) -> None:
    """Add both actions."""
    trend = actions.add(
        "trend",
        _trend,
        "show a metric of cells from run to run",
        details="There is a series for each cell, machine, version of torch, number of threads and "
        "size of images. If there is only one, its runs are shown one by one. CSV and JSON have "
        "every point of every series.",
    )
    add_cell(trend)
    add_metric(trend)
    trend.add_argument(
        "--last",
        metavar="N",
        help="only the N most recent runs of each series (all; a single series for people "
        f"{MOST_POINTS})",
    )
    add_branch(trend)
    history_page.add_report_dir(trend)
    exporting = actions.add(
        "export",
        _export,
        "print or write every figure, one in each row",
        has_tables=False,
    )
    add_cell(exporting)
    exporting.add_argument("--metric", metavar="NAME", help="only this metric (all)")
    exporting.add_argument(
        "--format", choices=export.FORMS, default="csv", help="format of the rows (csv)"
    )
    exporting.add_argument(
        "--output", "-o", type=Path, metavar="FILE", help="file to write (printed by default)"
    )
    exporting.add_argument("--force", action="store_true", help="replace an existing file")


def add_cell(parser: argparse.ArgumentParser) -> None:
    """Add the option ``--cell``."""
    parser.add_argument(
        "--cell",
        metavar="PATTERN",
        default=ALL,
        help="ids of cells, in which * stands for any text, such as 'googlenet/*/b1/infer/cpu' "
        "(all)",
    )


def add_metric(parser: argparse.ArgumentParser) -> None:
    """Add the option ``--metric``."""
    parser.add_argument(
        "--metric",
        metavar="NAME",
        help=f"column of summary.csv ({DEFAULTS[0]}; of files of other projects {DEFAULTS[1]})",
    )


def find_series(
    history: "Store", cell: str, metric: str | None, branch: str | None
) -> Sequence[Series]:
    """Return the series of a metric, or of the metrics that are shown by default.

    Raises ``RequestError`` if there are none.
    """
    if metric is not None:
        return history.series(cell, metric, branch=branch)
    found: list[Series] = []
    errors: list[RequestError] = []
    for name in DEFAULTS:
        try:
            found += history.series(cell, name, branch=branch)
        except RequestError as error:
            errors.append(error)
    if not found:
        raise errors[0]
    return found


def _trend(options: argparse.Namespace) -> Output:
    last = None if options.last is None else values.at_least(1)(options.last, "--last")
    history = opened(options)
    found = [
        series if last is None else _shortened(series, last)
        for series in find_series(history, options.cell, options.metric, options.branch)
    ]
    if options.report_dir is not None:
        return Output(history_page.write(found, options.report_dir))
    form = options.format
    if form not in PROSE:
        return Output(FORMATS[form]((), report.tidy(found)))
    if len(found) > 1:
        return Output(f"{FORMATS[form](*report.trends(found))}\n\n{NOT_COMPARED}")
    (series,) = found
    shown = _shortened(series, last or MOST_POINTS)
    parts = [
        *map(escaped if form == "markdown" else str, report.titles(series)),
        FORMATS[form](*report.points(shown)),
    ]
    if len(shown.points) < len(series.points):
        total = counted(len(series.points), "run")
        parts.append(f"The {len(shown.points)} most recent of {total}; --last N shows N.")
    return Output("\n\n".join(parts))


def _shortened(series: Series, last: int) -> Series:
    return msgspec.structs.replace(series, points=series.points[-last:])


def _export(options: argparse.Namespace) -> Output:
    history = opened(options)
    figures = history.figures(options.cell, options.metric)
    if options.output is None:
        text = io.StringIO()
        export.write(figures, options.format, text)
        return Output(text.getvalue().rstrip("\n"))
    count = export.write_file(figures, options.format, options.output, replace=options.force)
    return Output(f"wrote {options.output} ({counted(count, 'figure')})")
