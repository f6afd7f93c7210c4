"""The command ``compare``: two runs that were not measured together. It needs no torch."""

import argparse
from pathlib import Path

from bench.api.measured_run import read
from bench.cli.command import Commands, Output, Purpose
from bench.compare import pytest_benchmark as pytest_benchmark_report
from bench.compare import report
from bench.compare.advice import compare
from bench.compare.comparison import FAILS
from bench.errors import RequestError
from bench.names import choose, listed
from bench.records import journal
from bench.records import pytest_benchmark as pytest_benchmark_files
from bench.records.comparability import CIRCUMSTANCES
from bench.records.pytest_benchmark import PytestBenchmarkFile


def add(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add(
        "compare",
        _compare,
        "compare two runs cell by cell",
        Purpose.READ,
        details="The result is only advice, because they were not measured together. Of two other "
        "files of pytest-benchmark, it shows the medians. It needs no torch.",
    )
    for name, which in (("A", "earlier"), ("B", "later")):
        parser.add_argument(
            name.lower(),
            type=Path,
            metavar=name,
            help=f"the {which} run: a run file (.json), or a journal ({journal.SUFFIX})",
        )
    parser.add_argument(
        "--across",
        metavar="NAMES",
        help="what may differ between the runs, separated by commas: " + ", ".join(CIRCUMSTANCES),
    )
    parser.add_argument(
        "--fail-on",
        metavar="ADVICE",
        help="advice that sets the exit code if a cell gets it, separated by commas: "
        + ", ".join(f"{advice} ({code})" for advice, code in FAILS.items()),
    )


def _compare(options: argparse.Namespace) -> Output:
    fail_on = _listed(options.fail_on, "--fail-on")
    for advised in fail_on:
        choose("advice to fail on", advised, FAILS)
    contents = [pytest_benchmark_files.read(path) for path in (options.a, options.b)]
    if any(contents):
        return _compare_pytest_benchmark(options, *contents)
    a, b = read(options.a), read(options.b)
    compared = compare(a, b, _listed(options.across, "--across"))
    runs = {"A": (options.a, a), "B": (options.b, b)}
    return Output(report.render(options.format, compared, runs), compared.exit_code(fail_on))


def _compare_pytest_benchmark(
    options: argparse.Namespace, a: PytestBenchmarkFile | None, b: PytestBenchmarkFile | None
) -> Output:
    """Compare files of pytest-benchmark from other projects, without advice."""
    if a is None or b is None:
        other, own = (options.b, options.a) if a is None else (options.a, options.b)
        raise RequestError(
            f"{other} is a file of pytest-benchmark, but {own} is a run of googlenet-bench: they "
            "have no cells in common; pytest-benchmark compare shows both in one table"
        )
    for name in ("across", "fail_on"):
        if getattr(options, name) is not None:
            raise RequestError(
                f"--{name.replace('_', '-')} is for runs of googlenet-bench: there is no advice on "
                "files of pytest-benchmark, because they have no sets"
            )
    files = {"A": (options.a, a), "B": (options.b, b)}
    return Output(pytest_benchmark_report.compare(options.format, files))


def _listed(text: str | None, option: str) -> tuple[str, ...]:
    return () if text is None else listed(text, option)
