"""The command line ``googlenet-bench``; only this package and the pytest front print."""

import sys
import warnings
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from bench import __version__
from bench.cli import (
    baseline,
    best,
    compare,
    completion,
    doctor,
    export,
    gate,
    history,
    networks,
    pick,
    report,
    run,
    stages,
)
from bench.cli.command import PROGRAM, Commands, Output, Parser, unrecognized
from bench.errors import RequestError
from bench.exits import Exit
from bench.standard_output import escape_unencodable

HELP = """\
{usage}
Compare network architectures: measure them, count their costs, and write reports.

{commands}

`googlenet-bench COMMAND --help` lists the options of a command, and `googlenet-bench --version`
prints the version.

examples:
  googlenet-bench run --profile quick
  googlenet-bench cost googlenet torchvision:resnet18
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code (``bench.exits.Exit``)."""
    escape_unencodable(sys.stdout)
    reader = parser()
    options, unknown = reader.parse_known_args(arguments)
    options.unknown = unknown
    if unknown and not options.passes_unknown:
        options.parser.error(unrecognized(unknown))
    sys.path.insert(0, str(Path.cwd()))  # search path of package.module:factory, as with -m
    # torchvision uses the deprecated decorator at import; users cannot change that.
    warnings.filterwarnings("ignore", "`torch.jit.script.*` is deprecated")
    try:
        output: Output = options.command(options)
    except RequestError as error:
        print(f"{PROGRAM}: {error}", file=sys.stderr)
        return Exit.WRONG_REQUEST
    except ModuleNotFoundError as error:
        print(
            f"{PROGRAM}: this command needs {error.name}, which is not installed; "
            "install it with: pip install 'googlenet-bench[measure]'",
            file=sys.stderr,
        )
        return Exit.WRONG_REQUEST
    for sentence in output.errors:
        print(f"{PROGRAM}: {sentence}", file=sys.stderr)
    try:
        if output.text:
            print(output.text, flush=True)
    except BrokenPipeError:  # `googlenet-bench … | head`
        sys.stderr.close()
    return output.exit_code


class _Parser(Parser):
    """The parser of all commands; its help lists them by purpose, which argparse cannot."""

    @cached_property
    def commands(self) -> Commands:
        """The commands; their own help is argparse's."""
        return Commands(self.add_subparsers(metavar="COMMAND", required=True, parser_class=Parser))

    def format_help(self) -> str:
        """Return the help, without argparse's single list of all commands."""
        return HELP.format(usage=self.format_usage(), commands=self.commands.listing())


def parser() -> _Parser:
    """Return the parser of all commands."""
    result = _Parser(prog=PROGRAM)
    result.add_argument("--version", action="version", version=__version__)
    commands = result.commands
    run.add(commands)
    networks.add(commands)
    pick.add(commands)
    best.add(commands)
    export.add(commands)
    stages.add(commands)
    report.add(commands)
    compare.add(commands)
    history.add(commands)
    baseline.add(commands)
    gate.add(commands)
    doctor.add(commands)
    completion.add(commands, result)
    return result
