"""The command ``gate``: ``--base REV`` measures and judges, ``--static`` compares counts."""

import argparse

from bench.cli import baseline, suite
from bench.cli.command import Commands, Output, Parser, Purpose, unrecognized
from bench.errors import RequestError

BASES = frozenset({"--base", "--base-python"})
OPTIONS = """\
Without --static, options are those of the gate (--base REV, --base-python PATH, --delta,
--most-sets, --allow-inconclusive), of the suite (--archs, --modes, --batch-sizes, --budget,
--report-dir, …) and of pytest (-k, --junitxml, …); `googlenet-bench run --help` lists those of the
suite. With --static:

"""


def add(commands: Commands) -> None:
    """Add the command."""
    gate = commands.add(
        "gate",
        _gate,
        "report whether a change makes a network slower than its base",
        Purpose.JUDGE,
        details="With --static: report whether counts differ from the baseline.",
        passes_unknown=True,
    )
    gate.formatter_class = argparse.RawDescriptionHelpFormatter
    gate.epilog = OPTIONS + _static_parser().format_help()
    gate.add_argument(
        "--static",
        action="store_true",
        help="compare counts with a baseline, in seconds and without timing anything",
    )


def _gate(options: argparse.Namespace) -> Output:
    if options.static:
        parsed, unknown = _static_parser().parse_known_args(options.unknown, namespace=options)
        if unknown:
            raise RequestError(f"{unrecognized(unknown)} (with --static)")
        return baseline.static(parsed)
    if options.format != "rich":
        raise RequestError(
            "--format applies only to --static; without it the gate writes gate.md and gate.json"
        )
    if not any(option.partition("=")[0] in BASES for option in options.unknown):
        raise RequestError(
            "name what to compare with: --base REV, --base-python PATH, or --static for the "
            "committed counts"
        )
    return Output("", exit_code=suite.run("gate", options.unknown))


def _static_parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="googlenet-bench gate --static",
        add_help=False,
        usage=argparse.SUPPRESS,
        allow_abbrev=False,
    )
    baseline.add_static_options(parser)
    return parser
