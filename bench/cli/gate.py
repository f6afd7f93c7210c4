"""The gate's command: ``gate --base REV`` measures and judges, ``--static`` compares counts."""

import argparse
import os
from pathlib import Path

from bench.cli import baseline
from bench.cli.command import Commands, Output
from bench.exits import Exit
from bench.names import RequestError

BASES = frozenset({"--base", "--base-python"})
OPTIONS = """\
Without --static, an option is one of the gate's (--base REV, --base-python PATH, --delta,
--most-sets), of the suite's (--archs, --modes, --batch-sizes, --budget, --report-dir, …) or of
pytest's (-k, --junitxml, …); `pytest bench/suite --help` has them all. With it:

"""


def add(commands: Commands) -> None:
    """Add it."""
    gate = commands.add(
        "gate",
        _gate,
        "say whether a change made anything slower than a base, or larger than a baseline",
        takes_more=True,
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
        asked = _static_parser().parse_args(options.more, namespace=options)
        return baseline.static(asked)
    if options.format != "rich":
        raise RequestError("--format goes with --static; a gate writes gate.md and gate.json")
    if not any(option.partition("=")[0] in BASES for option in options.more):
        raise RequestError(
            "name what to compare with: --base REV, --base-python PATH, or --static for the "
            "committed counts"
        )
    return Output("", exit_code=_judge(options.more))


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
    """A pytest plugin that tells an error inside of pytest, whose exit code is a gate's too."""

    broke = False

    def pytest_internalerror(self) -> None:
        """Remember it."""
        self.broke = True


def _judge(options: list[str]) -> int:
    """Run the suite as a gate; its exit code is pytest's but for what a gate calls otherwise."""
    import pytest

    from bench import suite

    watch = _InternalErrors()
    status = pytest.main(
        [
            str(Path(suite.__file__).parent),
            *("-ra", "-p", "bench.suite.plugin", "-p", "no:cacheprovider"),
            *("-c", os.devnull, f"--rootdir={Path.cwd()}"),
            *options,
        ],
        plugins=[watch],
    )
    wrong = {pytest.ExitCode.USAGE_ERROR, pytest.ExitCode.NO_TESTS_COLLECTED}
    return Exit.WRONG_REQUEST if watch.broke or status in wrong else int(status)
