"""The building blocks of commands: their output, their options and their registration."""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.tables import FORMATS


@dataclass(frozen=True, slots=True)
class Output:
    """The output of a command, and its exit code."""

    text: str
    """Text for standard output."""
    exit_code: int = 0
    errors: tuple[str, ...] = ()
    """Messages for standard error, about parts that failed."""


def folder(text: str) -> Path:
    """Return an option's folder; refuse an empty name, which would be the current folder."""
    if not text:
        raise argparse.ArgumentTypeError("the name is empty: give a folder")
    return Path(text)


Command = Callable[[argparse.Namespace], Output]


@dataclass(frozen=True, slots=True)
class Commands:
    """The commands of the command line."""

    subparsers: Any  # argparse does not export its type

    def add(
        self, name: str, command: Command, help_text: str, *, passes_unknown: bool = False
    ) -> argparse.ArgumentParser:
        """Add a command that prints tables in the format of ``--format``.

        Unknown arguments are an error, unless ``passes_unknown``: then the command gets them as
        ``options.unknown``.
        """
        parser: argparse.ArgumentParser = self.subparsers.add_parser(
            name,
            help=help_text,
            description=help_text[0].upper() + help_text[1:] + ".",
            allow_abbrev=not passes_unknown,
        )
        parser.add_argument(
            "--format", choices=tuple(FORMATS), default="rich", help="how tables are printed (rich)"
        )
        parser.set_defaults(command=command, passes_unknown=passes_unknown)
        return parser
