"""Commands about runs that were made, which need no torch: ``report``."""

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path

import pandas as pd

from bench import journal, store
from bench.cli.command import Commands, Output
from bench.names import RequestError, choose, listed
from bench.outcome import Outcome
from bench.record import RunRecord
from bench.report import (
    files,
    frame,
    ladder,
    largest,
    markdown,
    roofline,
    saturation,
    side_by_side,
    summary,
    trust,
)
from bench.report.tables import FORMATS, Column, csv_safe
from bench.store import write_text

Table = tuple[tuple[Column, ...], pd.DataFrame]
SIDE_BY_SIDE = "side-by-side"


def _summary(run: RunRecord) -> Table:
    rows = frame.summary(run)
    columns = () if rows.empty else summary.shown_columns(run, rows)
    return (*columns[:2], *ladder.WHERE_COLUMNS, *columns[2:]), rows


def _trust(run: RunRecord) -> Table:
    return trust.COLUMNS, trust.table(trust.of(run))


TABLES: Mapping[str, Callable[[RunRecord], Table]] = {
    "summary": _summary,
    "ladder": lambda run: ((*ladder.WHERE_COLUMNS, *ladder.STEP_COLUMNS), ladder.frame(run)),
    "interactions": lambda run: (ladder.INTERACTION_COLUMNS, ladder.interactions(run)),
    "roofline": lambda run: (roofline.COLUMNS, roofline.frame(run)),
    "ceilings": lambda run: (roofline.CEILING_COLUMNS, roofline.ceilings(run)),
    "saturation": lambda run: (
        (*saturation.COLUMNS[:4], ladder.WHERE_COLUMNS[-1], *saturation.COLUMNS[4:]),
        saturation.frame(run),
    ),
    "fit": lambda run: (largest.COLUMNS, largest.frame(run)),
    "trust": _trust,
    "failures": lambda run: (markdown.FAILURE_COLUMNS, frame.failures(run)),
}


def add(commands: Commands) -> None:
    """Add them."""
    report = commands.add(
        "report",
        _report,
        "make a run's reports again from its run file, or put runs side by side, without torch",
    )
    report.add_argument(
        "run",
        type=Path,
        nargs="+",
        metavar="RUN",
        help=f"run files (.json), or journals of runs that were cut off ({journal.SUFFIX})",
    )
    report.add_argument(
        "--report-dir",
        type=Path,
        metavar="DIR",
        help="write the reports there, instead of beside the run file",
    )
    report.add_argument(
        "--table", metavar="NAME", help=f"print just one table: {', '.join(TABLES)}"
    )
    report.add_argument(
        "--labels",
        metavar="NAMES",
        help="put the runs side by side under these names, with commas between, in one table; "
        f"with --report-dir, write {SIDE_BY_SIDE}.md and .csv there",
    )


def recorded(path: Path) -> RunRecord:
    """The run in a run file, or what a journal tells of one."""
    if path.suffix != journal.SUFFIX:
        return store.read(path)
    return Outcome.of(journal.read(path)).run_record(machine_info={}, commit_info={})


def _report(options: argparse.Namespace) -> Output:
    if options.labels is not None:
        return _side_by_side(options)
    if options.report_dir is not None and len(options.run) > 1:
        raise RequestError("--report-dir takes one run file, or the reports would overwrite")
    if options.table is not None:
        table = choose("table", options.table, TABLES)
        found = [table(recorded(path)) for path in options.run]
        return Output("\n".join(FORMATS[options.format](*one) for one in found))
    lines = []
    for path in options.run:
        run = recorded(path)
        folder = options.report_dir or path.parent
        rows = frame.summary(run)
        if options.format == "rich":
            for title, group in summary.groups(rows):
                shown = summary.shown_columns(run, group)
                lines += [title, FORMATS["rich"](shown, group)]
        else:
            lines.append(FORMATS[options.format](*_summary(run)))
        try:
            written = files.write(run, folder)
        except OSError as error:
            raise RequestError(f"cannot write to {folder}: {error.strerror}") from error
        if options.format == "rich":
            lines += [f"wrote {file}" for file in written]
    return Output("\n".join(lines))


def _side_by_side(options: argparse.Namespace) -> Output:
    labels = listed(options.labels, "--labels")
    if options.table is not None:
        raise RequestError("--table is of a single run, and --labels puts runs side by side")
    if len(labels) != len(options.run) or len(labels) < 2:
        raise RequestError(
            f"--labels names each of two runs or more, with commas between: {len(options.run)} "
            f"run{'s' if len(options.run) > 1 else ''} and {options.labels!r} do not match"
        )
    if len(set(labels)) < len(labels):
        raise RequestError(f"--labels {options.labels!r} names two runs the same")
    runs = {label: recorded(path) for label, path in zip(labels, options.run, strict=True)}
    columns, table = side_by_side.wide(runs)
    lines = [FORMATS[options.format](columns, table)]
    if options.report_dir is not None:
        contents = {
            f"{SIDE_BY_SIDE}.md": side_by_side.render(runs),
            f"{SIDE_BY_SIDE}.csv": csv_safe(side_by_side.tidy(runs)).to_csv(index=False),
        }
        for name, content in contents.items():
            try:
                write_text(options.report_dir / name, content)
            except OSError as error:
                raise RequestError(
                    f"cannot write to {options.report_dir}: {error.strerror}"
                ) from error
            if options.format == "rich":
                lines.append(f"wrote {options.report_dir / name}")
    elif options.format == "rich":
        lines.append(
            "Not measured together: compare the ratios, which are each to the run's own reference."
        )
    return Output("\n".join(lines))
