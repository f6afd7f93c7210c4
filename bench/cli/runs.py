"""Commands about runs that were made, which need no torch: ``report``."""

import argparse
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

import pandas as pd

from bench.atomic import write_text
from bench.cli.command import Commands, Output, folder
from bench.gate import files as gate_files
from bench.gate import report as gate_report
from bench.gate.decision import Gate
from bench.names import RequestError, choose, listed
from bench.records import journal, store
from bench.records.outcome import Outcome
from bench.records.record import RunRecord
from bench.report import (
    files,
    frame,
    ladder,
    largest,
    roofline,
    saturation,
    side_by_side,
    summary,
    trust,
)
from bench.tables import FORMATS, Column, csv_safe, filled

Table = tuple[tuple[Column, ...], pd.DataFrame]
SIDE_BY_SIDE = "side-by-side"


def _summary(run: RunRecord) -> Table:
    rows = frame.summary(run)
    columns = () if rows.empty else summary.shown_columns(run, rows)
    return (*columns[:2], *ladder.WHERE_COLUMNS, *columns[2:]), rows


def _trust(run: RunRecord) -> Table:
    rows = trust.table(trust.assess(run))
    return trust.columns(rows), rows


def _verdicts(run: RunRecord) -> Table:
    rows = gate_report.frame(Gate.from_run(run))
    return filled(gate_report.COLUMNS, rows), rows


TABLES: Mapping[str, Callable[[RunRecord], Table]] = {
    "summary": _summary,
    "ladder": lambda run: ((*ladder.WHERE_COLUMNS, *ladder.STEP_COLUMNS), ladder.frame(run)),
    "interactions": lambda run: (ladder.INTERACTION_COLUMNS, ladder.interactions(run)),
    "roofline": lambda run: (roofline.COLUMNS, roofline.frame(run)),
    "ceilings": lambda run: (roofline.CEILING_COLUMNS, roofline.ceilings(run)),
    "saturation": lambda run: (saturation.COLUMNS, saturation.frame(run)),
    "fit": lambda run: (largest.COLUMNS, largest.frame(run)),
    "trust": _trust,
    "failures": lambda run: (frame.FAILURE_COLUMNS, frame.failures(run)),
    "verdicts": _verdicts,
}


def add(commands: Commands) -> None:
    """Add them."""
    report = commands.add(
        "report",
        _report,
        "make the reports of a run or a gate again from its run file, or put runs side by side, "
        "without torch",
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
        type=folder,
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
    return Outcome.from_events(journal.read(path)).run_record(machine_info={}, commit_info={})


def _report(options: argparse.Namespace) -> Output:
    if options.labels is not None:
        return _side_by_side(options)
    if options.report_dir is not None and len(options.run) > 1:
        raise RequestError("--report-dir takes one run file, or the reports would overwrite")
    if options.table is not None and options.report_dir is not None:
        raise RequestError("--table prints a table and writes nothing: leave --report-dir out")
    if options.table is not None:
        table = choose("table", options.table, TABLES)
        found = [table(recorded(path)) for path in options.run]
        return Output("\n".join(FORMATS[options.format](*one) for one in found))
    return Output("\n".join(line for path in options.run for line in _anew(path, options)))


def _anew(path: Path, options: argparse.Namespace) -> Iterator[str]:
    """Write a run's reports, or a gate's; what is printed of them."""
    run = recorded(path)
    folder = options.report_dir or path.parent
    in_full = options.format == "rich"
    if run.gate is not None:
        gate = Gate.from_run(run)
        if in_full:
            yield f"{gate.sides.head} against {gate.sides.base}: {gate_report.headline(gate)}"
        yield FORMATS[options.format](*_verdicts(run))
        write = partial(gate_files.write, gate)
    else:
        if in_full:
            for title, group in summary.groups(frame.summary(run)):
                yield title
                yield FORMATS["rich"](summary.shown_columns(run, group), group)
        else:
            yield FORMATS[options.format](*_summary(run))
        write = partial(files.write, run, beside=path.parent)
    try:
        written = write(folder)
    except OSError as error:
        raise RequestError(f"cannot write to {folder}: {error.strerror}") from error
    if in_full:
        yield from (f"wrote {file}" for file in written)


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
    if options.format in {"csv", "json"}:  # a row for each run, whose label is a column
        lines = [FORMATS[options.format]((), side_by_side.tidy(runs))]
    else:
        lines = [FORMATS[options.format](*side_by_side.wide(runs))]
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
