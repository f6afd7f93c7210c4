"""Choosing by name from a table, with an answer that helps where the name is not in it."""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import TypeVar

Entry = TypeVar("Entry")


class RequestError(ValueError):
    """The request was wrong: its message is a sentence for the user, and exit code 2 follows."""


def listed(text: str, option: str) -> tuple[str, ...]:
    """The names in a list with commas; raises ``RequestError`` for an empty one."""
    parts = tuple(part.strip() for part in text.split(","))
    if not all(parts):
        raise RequestError(f"{option} {text!r} has an empty name between its commas")
    return parts


def choose(what: str, name: str, table: Mapping[str, Entry]) -> Entry:
    """Return the entry called ``name``; raise ``RequestError`` naming the nearest and all known."""
    if name in table:
        return table[name]
    nearest = get_close_matches(name, table, n=1, cutoff=0.5)
    hint = f"did you mean {nearest[0]!r}? " if nearest else ""
    raise RequestError(f"no {what} is called {name!r}; {hint}known: {', '.join(table)}")
