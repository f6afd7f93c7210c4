"""Lookup of names in a table; the error for an unknown name lists the known ones."""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import TypeVar

Entry = TypeVar("Entry")


class RequestError(ValueError):
    """Raised if a request is wrong; the message is for the user, and the exit code is 2."""


def listed(text: str, option: str) -> tuple[str, ...]:
    """Split a comma-separated list of names; raises ``RequestError`` if a name is empty."""
    parts = tuple(part.strip() for part in text.split(","))
    if not all(parts):
        raise RequestError(f"{option} {text!r} has an empty name between its commas")
    return parts


def choose(what: str, name: str, table: Mapping[str, Entry]) -> Entry:
    """Return the entry called ``name``.

    Raises ``RequestError`` if it is unknown; the message lists the nearest name and all known ones.
    """
    if name in table:
        return table[name]
    nearest = get_close_matches(name, table, n=1, cutoff=0.5)
    hint = f"did you mean {nearest[0]!r}? " if nearest else ""
    raise RequestError(f"no {what} is called {name!r}; {hint}known: {', '.join(table)}")
