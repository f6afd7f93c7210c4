"""The actions of the command ``history``: how each is registered, and how it opens the history."""

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.api import history
from bench.cli.command import Command, add_format

if TYPE_CHECKING:
    from bench.history.store import Store


@dataclass(frozen=True, slots=True)
class Actions:
    """The actions of ``googlenet-bench history``."""

    subparsers: Any  # argparse does not export its type

    def add(
        self, name: str, command: Command, line: str, *, details: str = "", has_tables: bool = True
    ) -> argparse.ArgumentParser:
        """Add an action; the arguments are those of ``Commands.add``."""
        parser: argparse.ArgumentParser = self.subparsers.add_parser(
            name, help=line, description=f"{line[0].upper()}{line[1:]}. {details}".strip()
        )
        parser.add_argument(
            "--history",
            metavar="PATH_OR_URL",
            help="file of SQLite, or postgresql://USER@HOST/DATABASE "
            f"({history.DEFAULT_PLACE.replace('%', '%%')})",
        )
        if has_tables:
            add_format(parser, "how tables are printed (rich)")
        parser.set_defaults(command=command, passes_unknown=False, parser=parser)
        return parser


def opened(options: argparse.Namespace, *, create: bool = False) -> "Store":
    """Return the history that the options name."""
    return history.open_history(options.history, Path.cwd(), create=create)


def add_branch(parser: argparse.ArgumentParser) -> None:
    """Add the option ``--branch``."""
    parser.add_argument("--branch", metavar="NAME", help="only runs of this branch of git")
