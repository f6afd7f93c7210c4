"""The command line: ``googlenet-bench``. The only printer besides the pytest front."""

import argparse
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

from bench import __version__
from bench.cli import baseline, compare, doctor, gate, networks, runs, stages
from bench.cli.command import Commands, Output
from bench.exits import Exit
from bench.names import RequestError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; the exit code is 0 for fine, 2 for a wrong request, or what it found."""
    parser = _parser()
    options, more = parser.parse_known_args(arguments)
    options.more = more
    if more and not options.takes_more:
        parser.error(f"unrecognized arguments: {' '.join(more)}")
    sys.path.insert(0, str(Path.cwd()))  # where package.module:factory is looked for, as by -m
    # torchvision decorates functions with it at import; a user can do nothing about it.
    warnings.filterwarnings("ignore", "`torch.jit.script.*` is deprecated")
    try:
        output: Output = options.command(options)
    except RequestError as error:
        print(f"googlenet-bench: {error}", file=sys.stderr)
        return Exit.WRONG_REQUEST
    except ModuleNotFoundError as error:
        print(
            f"googlenet-bench: this command needs {error.name}, which is not installed; "
            "install it with: pip install 'googlenet-bench[measure]'",
            file=sys.stderr,
        )
        return Exit.WRONG_REQUEST
    for sentence in output.errors:
        print(f"googlenet-bench: {sentence}", file=sys.stderr)
    try:
        if output.text:
            print(output.text, flush=True)
    except BrokenPipeError:  # `googlenet-bench … | head`
        sys.stderr.close()
    return output.exit_code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="googlenet-bench",
        description="GoogLeNet beside torchvision's and its variants: what each costs, and reports "
        "of what was measured. Measuring itself is `nox -s bench`, or `pytest bench/suite`.",
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = Commands(parser.add_subparsers(metavar="COMMAND", required=True))
    networks.add(commands)
    stages.add(commands)
    runs.add(commands)
    compare.add(commands)
    baseline.add(commands)
    gate.add(commands)
    doctor.add(commands)
    return parser
