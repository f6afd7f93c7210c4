"""The command about two runs that were not measured together, which needs no torch: ``compare``."""

import argparse
from pathlib import Path

from bench.cli.command import Commands, Output
from bench.cli.runs import recorded
from bench.gate import advice
from bench.gate.compare import compare
from bench.gate.comparison import FAILS
from bench.names import choose, listed
from bench.records import journal
from bench.records.circumstances import CIRCUMSTANCES


def add(commands: Commands) -> None:
    """Add it."""
    parser = commands.add(
        "compare",
        _compare,
        "compare two runs cell by cell, without torch: advice, as they were not measured together",
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
        help="what may differ between the runs, with commas between: " + ", ".join(CIRCUMSTANCES),
    )
    parser.add_argument(
        "--fail-on",
        metavar="ADVICE",
        help="exit codes to end with where a cell is advised so, with commas between: "
        + ", ".join(f"{advice} ({code})" for advice, code in FAILS.items()),
    )


def _compare(options: argparse.Namespace) -> Output:
    fail_on = _listed(options.fail_on, "--fail-on")
    for word in fail_on:
        choose("advice to fail on", word, FAILS)
    a, b = recorded(options.a), recorded(options.b)
    compared = compare(a, b, _listed(options.across, "--across"))
    runs = {"A": (options.a, a), "B": (options.b, b)}
    return Output(advice.render(options.format, compared, runs), compared.exit_code(fail_on))


def _listed(text: str | None, option: str) -> tuple[str, ...]:
    return () if text is None else listed(text, option)
