"""The building blocks of commands: their output, their options and their registration."""

import argparse
import shlex
import sys
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NoReturn

from bench.exits import Exit
from bench.tables import FORMATS


@dataclass(frozen=True, slots=True)
class Output:
    """The output of a command, and its exit code."""

    text: str
    """Text for standard output."""
    exit_code: int = 0
    errors: tuple[str, ...] = ()
    """Messages for standard error, about parts that failed."""


Command = Callable[[argparse.Namespace], Output]
PROGRAM = "googlenet-bench"
HELP_WIDTH = 80  # characters, of a help with examples: they keep their lines, so nothing is wrapped


class Parser(argparse.ArgumentParser):
    """A parser whose errors have the program's name before them, like those of commands."""

    def error(self, message: str) -> NoReturn:
        """Print the usage of the command and the error, and exit."""
        self.print_usage(sys.stderr)
        self.exit(Exit.WRONG_REQUEST, f"{PROGRAM}: {message}\n")


def unrecognized(arguments: Sequence[str]) -> str:
    """Return the error for arguments that a command does not take."""
    return f"unrecognized {'argument' if len(arguments) == 1 else 'arguments'}: " + shlex.join(
        arguments
    )


def add_format(parser: argparse.ArgumentParser, text: str) -> None:
    """Add the option ``--format``, with this help text."""
    parser.add_argument("--format", choices=tuple(FORMATS), default="rich", help=text)


class Purpose(StrEnum):
    """What a command is for; ``--help`` lists the commands by purpose, in this order."""

    PREPARE = "see what can be measured, and whether this machine can"
    MEASURE = "measure"
    USE = "use what was measured"
    COUNT = "count, without timing anything"
    JUDGE = "judge a change"
    READ = "read finished runs, without torch"
    SHELL = "set up the shell"


@dataclass(frozen=True, slots=True)
class Commands:
    """The commands of the command line."""

    subparsers: Any  # argparse does not export its type
    listed: dict[Purpose, dict[str, str]] = field(
        default_factory=lambda: {purpose: {} for purpose in Purpose}
    )
    """One line on each command, by purpose and name."""

    def add(
        self,
        name: str,
        command: Command,
        line: str,
        purpose: Purpose,
        *,
        details: str = "",
        passes_unknown: bool = False,
        has_tables: bool = True,
    ) -> argparse.ArgumentParser:
        """Add a command; if it has tables, it prints them in the format of ``--format``.

        ``line`` says in a few words what it does, and ``details`` are further sentences for its
        own ``--help``. Unknown arguments are an error, unless ``passes_unknown``: then the command
        gets them as ``options.unknown``.
        """
        self.listed[purpose][name] = line
        parser: argparse.ArgumentParser = self.subparsers.add_parser(
            name,
            help=line,
            description=f"{line[0].upper()}{line[1:]}. {details}".strip(),
            allow_abbrev=not passes_unknown,
        )
        if has_tables:
            add_format(parser, "how tables are printed (rich)")
        parser.set_defaults(command=command, passes_unknown=passes_unknown, parser=parser)
        return parser

    def listing(self) -> str:
        """Return the commands with one line each, by purpose, for ``--help``."""
        width = max(len(name) for commands in self.listed.values() for name in commands)
        return "\n\n".join(
            "\n".join(
                [f"{purpose}:", *(f"  {name:{width}}  {line}" for name, line in lines.items())]
            )
            for purpose, lines in self.listed.items()
        )


def show_examples(parser: argparse.ArgumentParser, examples: str) -> None:
    """Close a command's ``--help`` with examples, which keep their lines."""
    parser.description = textwrap.fill(f"{parser.description}", width=HELP_WIDTH)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = examples
