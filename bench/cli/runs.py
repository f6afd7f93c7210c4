"""Commands about runs that were made, which need no torch: ``report``."""

import argparse
from pathlib import Path

from bench import journal, store
from bench.cli.command import Commands, Output
from bench.names import RequestError
from bench.outcome import Outcome
from bench.record import RunRecord
from bench.report import files, frame, summary
from bench.report.tables import FORMATS


def add(commands: Commands) -> None:
    """Add them."""
    report = commands.add(
        "report", _report, "make a run's reports again from its run file, without torch"
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
        help="write report.md, summary.csv and samples.csv there, instead of beside the run file",
    )


def recorded(path: Path) -> RunRecord:
    """The run in a run file, or what a journal tells of one."""
    if path.suffix != journal.SUFFIX:
        return store.read(path)
    return Outcome.of(journal.read(path)).run_record(machine_info={}, commit_info={})


def _report(options: argparse.Namespace) -> Output:
    if options.report_dir is not None and len(options.run) > 1:
        raise RequestError("--report-dir takes one run file, or the reports would overwrite")
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
            lines.append(FORMATS[options.format](summary.shown_columns(run, rows), rows))
        try:
            written = files.write(run, folder)
        except OSError as error:
            raise RequestError(f"cannot write to {folder}: {error.strerror}") from error
        if options.format == "rich":
            lines += [f"wrote {file}" for file in written]
    return Output("\n".join(lines))
