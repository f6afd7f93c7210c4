"""The option ``--report-dir`` of ``history trend``: the page with charts and changes."""

import argparse
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from bench import git
from bench.api import values
from bench.atomic import write_text
from bench.errors import RequestError
from bench.history.series import Series

FILE = "history.html"


def add_report_dir(parser: argparse.ArgumentParser) -> None:
    """Add the option."""
    parser.add_argument(
        "--report-dir",
        metavar="DIR",
        help=f"write {FILE} there: a chart of each series, with its changes and the commits around "
        "each, if the current folder's repository has them",
    )


def write(found: Sequence[Series], report_dir: str) -> str:
    """Write the page of series, and return the line that says so."""
    from bench.history import page, trend  # jinja2 and the bundle of the charts take a while

    folder = values.folder(report_dir, "--report-dir")
    commits_between = partial(git.commits_between, Path.cwd())
    html = page.render([trend.find(each) for each in found], commits_between)
    try:
        write_text(folder / FILE, html)
    except OSError as error:
        raise RequestError(f"cannot write to {folder}: {error.strerror}") from error
    return f"wrote {folder / FILE}"
