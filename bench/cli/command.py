"""Commands: what each part of the command line is made of."""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.tables import FORMATS


@dataclass(frozen=True, slots=True)
class Output:
    """What a command has to say, and the exit code."""

    text: str
    exit_code: int = 0
    errors: tuple[str, ...] = ()
    """Sentences on what could not be had beside the text, for standard error."""


def folder(text: str) -> Path:
    """The folder that an option names; an empty name would be the current folder."""
    if not text:
        raise argparse.ArgumentTypeError("it names no folder")
    return Path(text)


Command = Callable[[argparse.Namespace], Output]


@dataclass(frozen=True, slots=True)
class Commands:
    """Where commands are added."""

    subparsers: Any  # argparse keeps its type to itself

    def add(
        self, name: str, command: Command, help_text: str, *, takes_more: bool = False
    ) -> argparse.ArgumentParser:
        """Add a command that prints tables, in the format that is asked for.

        What it does not know itself is an error, or where it ``takes_more`` given to it as that.
        """
        parser: argparse.ArgumentParser = self.subparsers.add_parser(
            name,
            help=help_text,
            description=help_text[0].upper() + help_text[1:] + ".",
            allow_abbrev=not takes_more,
        )
        parser.add_argument(
            "--format", choices=tuple(FORMATS), default="rich", help="how tables are printed (rich)"
        )
        parser.set_defaults(command=command, takes_more=takes_more)
        return parser
