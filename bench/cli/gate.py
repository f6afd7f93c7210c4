"""The command ``gate``: ``--base REV`` measures and judges, ``--static`` compares counts."""

import argparse
import os
from pathlib import Path

from bench.cli import baseline
from bench.cli.command import Commands, Output
from bench.exits import Exit
from bench.names import RequestError

BASES = frozenset({"--base", "--base-python"})
OPTIONS = """\
Without --static, options are those of the gate (--base REV, --base-python PATH, --delta,
--most-sets), of the suite (--archs, --modes, --batch-sizes, --budget, --report-dir, …) and of
pytest (-k, --junitxml, …); `pytest bench/suite --help` lists them. With --static:

"""


def add(commands: Commands) -> None:
    """Add the command."""
    gate = commands.add(
        "gate",
        _gate,
        "report whether a change makes a cell slower than a base, or larger than a baseline",
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
        parsed = _static_parser().parse_args(options.unknown, namespace=options)
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
    return Output("", exit_code=_judge(options.unknown))


def _static_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="googlenet-bench gate --static",
        add_help=False,
        usage=argparse.SUPPRESS,
        allow_abbrev=False,
    )
    baseline.add_static_options(parser)
    return parser


class _InternalErrors:
    """A pytest plugin that detects internal errors, whose exit code a gate uses otherwise."""

    occurred = False

    def pytest_internalerror(self) -> None:
        """Record the error."""
        self.occurred = True


def _judge(options: list[str]) -> int:
    """Run the suite as a gate and return pytest's exit code, translated to the gate's."""
    import pytest

    from bench import suite

    internal_errors = _InternalErrors()
    status = pytest.main(
        [
            str(Path(suite.__file__).parent),
            *("-ra", "-p", "bench.suite.plugin", "-p", "no:cacheprovider"),
            *("-c", os.devnull, f"--rootdir={Path.cwd()}"),
            *options,
        ],
        plugins=[internal_errors],
    )
    wrong_request = {pytest.ExitCode.USAGE_ERROR, pytest.ExitCode.NO_TESTS_COLLECTED}
    return (
        Exit.WRONG_REQUEST if internal_errors.occurred or status in wrong_request else int(status)
    )
