"""The command ``report``: reports of finished runs. It needs no torch."""

import argparse
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import msgspec

from bench import metrics
from bench.api import values
from bench.api.measured_run import read, renderables, warnings
from bench.atomic import write_files
from bench.cli.command import Commands, Output, Purpose
from bench.columns import filled
from bench.compare import pytest_benchmark as shown
from bench.compare import side_by_side
from bench.errors import RequestError
from bench.gate import files as gate_files
from bench.gate import report as gate_report
from bench.gate.decision import Gate
from bench.names import choose, listed, unknown
from bench.records import journal, pytest_benchmark
from bench.records.record import RunRecord
from bench.report import files, sections
from bench.report.exports import EXPORTS
from bench.report.section import Rows
from bench.tables import FORMATS, PROSE, csv_safe, terminal_console

SIDE_BY_SIDE = "side-by-side"


def _verdicts(run: RunRecord) -> Rows:
    rows = gate_report.frame(Gate.from_run(run))
    return filled(gate_report.COLUMNS, rows), rows


def tables() -> Mapping[str, Callable[[RunRecord], Rows]]:
    """Return the tables that can be printed, by name."""
    of_sections = {
        name: table.compute for name, table in sections.tables().items() if table.is_shown
    }
    return {**of_sections, "verdicts": _verdicts}


def _tables_by_section() -> Mapping[str, str]:
    """Return the first table of each section, by the name and title of the section."""
    return {
        called: shown[0]
        for section in sections.ordered()
        if (shown := [name for name in section.tables if name in tables()])
        for called in (section.name, section.title.lower())
    }


def add(commands: Commands) -> None:
    """Add the command."""
    report = commands.add(
        "report",
        _report,
        "write the reports of a run again, or print one of its tables",
        Purpose.READ,
        details="It reads the run file of a run or a gate, or puts runs side by side (--labels). "
        "It prints the benchmarks of other files of pytest-benchmark. It needs no torch.",
    )
    report.add_argument(
        "run",
        type=Path,
        nargs="+",
        metavar="RUN",
        help=f"run files (.json), or journals of interrupted runs ({journal.SUFFIX})",
    )
    report.add_argument(
        "--report-dir",
        metavar="DIR",
        help="folder for the reports (default: the run file's folder)",
    )
    report.add_argument(
        "--table", metavar="NAME", help=f"print only one table: {', '.join(tables())}"
    )
    report.add_argument(
        "--front",
        metavar="A,B,…",
        help="what to set against accuracy: latency, throughput, macs, params or memory; separated "
        "by commas (default: that of the run)",
    )
    report.add_argument(
        "--export",
        metavar="NAME",
        help="print only the run in the format of another program: "
        + ", ".join(f"{export.name} ({export.what})" for export in EXPORTS.values()),
    )
    report.add_argument(
        "--labels",
        metavar="NAMES",
        help="put the runs side by side in one table under these names, separated by commas; "
        f"with --report-dir, also write {SIDE_BY_SIDE}.md and .csv",
    )


def _report(options: argparse.Namespace) -> Output:
    if options.report_dir is not None:
        options.report_dir = values.folder(options.report_dir, "--report-dir")
    if options.export is not None:
        return _export(options)
    if options.labels is not None:
        return _side_by_side(options)
    if options.report_dir is not None and len(options.run) > 1:
        raise RequestError(
            "--report-dir takes one run file: reports of several would overwrite each other"
        )
    if options.table is not None and options.report_dir is not None:
        raise RequestError("--table prints a table and writes no files: omit --report-dir")
    if options.table is not None:
        if options.table not in tables():
            raise unknown("table", options.table, tables(), _tables_by_section())
        texts = (
            _table(options.table, options.format, _read(path, options)) for path in options.run
        )
        return Output("\n".join(texts))
    return Output("\n".join(line for path in options.run for line in _write_again(path, options)))


def _table(name: str, form: str, run: RunRecord) -> str:
    """Return a table of a run in a format."""
    columns, rows = tables()[name](run)
    if form in PROSE and name in sections.tables():
        rows = sections.tables()[name].for_readers(rows)
    return FORMATS[form](columns, rows)


def _read(path: Path, options: argparse.Namespace) -> RunRecord:
    """Return the run of a file, with the axes of its fronts that are asked for."""
    run = read(path)
    if options.front is None:
        return run
    front = metrics.chosen_axes(listed(options.front, "--front"))
    return replace(run, plan=msgspec.structs.replace(run.plan, front=front))


def _export(options: argparse.Namespace) -> Output:
    for option in ("table", "labels", "report_dir", "front"):
        if getattr(options, option) is not None:
            raise RequestError(
                f"--export prints a run in another format and writes no files: omit "
                f"--{option.replace('_', '-')}"
            )
    if options.format != "rich":
        raise RequestError("--format is for tables, and --export prints none: omit --format")
    export = choose("export", options.export, EXPORTS)
    if len(options.run) > 1:
        raise RequestError(f"--export prints one run, but there are {len(options.run)}")
    return Output(export.render(read(options.run[0])))


def _write_again(path: Path, options: argparse.Namespace) -> Iterator[str]:
    """Write the reports of a run or a gate, and yield the lines to print.

    Of a file of pytest-benchmark from another project, there is only what is printed.
    """
    if (found := pytest_benchmark.read(path)) is not None:
        if options.report_dir is not None:
            raise RequestError(
                f"{path} is a file of pytest-benchmark, for which there are no reports to write: "
                "omit --report-dir"
            )
        if options.front is not None:
            raise RequestError(
                f"{path} is a file of pytest-benchmark, in which no accuracy is known: omit --front"
            )
        yield shown.render(options.format, path, found)
        return
    run = _read(path, options)
    folder = options.report_dir or path.parent
    is_rich = options.format == "rich"
    gate = None if run.gate is None else Gate.from_run(run)
    if is_rich:
        yield _shown(run, gate)
        yield from warnings(run, gate)
    elif gate is None:
        yield FORMATS[options.format](*sections.tables()["summary"].compute(run))
    else:
        yield FORMATS[options.format](*_verdicts(run))
    write = (
        partial(files.write, run, run_folder=path.parent)
        if gate is None
        else partial(gate_files.write, gate)
    )
    try:
        written = write(folder)
    except OSError as error:
        raise RequestError(f"cannot write to {folder}: {error.strerror}") from error
    if is_rich:
        yield from (f"wrote {file}" for file in written)


def _shown(run: RunRecord, gate: Gate | None) -> str:
    """Return the tables of a run or a gate, as the terminal shows them after it was measured."""
    console = terminal_console()
    with console.capture() as captured:
        for part in renderables(run, gate, console):
            console.print(part)
    return captured.get().rstrip("\n")


def _side_by_side(options: argparse.Namespace) -> Output:
    labels = listed(options.labels, "--labels")
    if options.table is not None:
        raise RequestError(
            "--table prints a table of a single run, and --labels puts runs side by side: use only "
            "one of them"
        )
    if options.front is not None:
        raise RequestError("--front is for the reports of a single run: omit --front or --labels")
    if len(labels) != len(options.run) or len(labels) < 2:
        raise RequestError(
            "--labels needs at least two runs and one name for each, separated by commas: "
            f"{len(options.run)} run{'s' if len(options.run) > 1 else ''} and {options.labels!r} "
            "do not match"
        )
    if len(set(labels)) < len(labels):
        raise RequestError(f"--labels {options.labels!r} gives two runs the same name")
    runs = {label: read(path) for label, path in zip(labels, options.run, strict=True)}
    if options.format in {"csv", "json"}:  # one row per run, with its label as a column
        lines = [FORMATS[options.format]((), side_by_side.tidy(runs))]
    else:
        lines = [FORMATS[options.format](*side_by_side.wide(runs))]
    if options.report_dir is not None:
        contents = {
            f"{SIDE_BY_SIDE}.md": side_by_side.render(runs),
            f"{SIDE_BY_SIDE}.csv": csv_safe(side_by_side.tidy(runs)).to_csv(index=False),
        }
        try:
            written = write_files(options.report_dir, contents)
        except OSError as error:
            raise RequestError(f"cannot write to {options.report_dir}: {error.strerror}") from error
        if options.format == "rich":
            lines += [f"wrote {path}" for path in written]
    elif options.format == "rich":
        lines.append(
            "Not measured together: compare only the ratios, each of which is to its own run's "
            "reference."
        )
    return Output("\n".join(lines))
