"""Lookup of names in a table; the error for an unknown name lists the known ones."""

from collections.abc import Collection, Mapping
from difflib import get_close_matches
from types import MappingProxyType
from typing import TypeVar

Entry = TypeVar("Entry")
NOWHERE: Mapping[str, str] = MappingProxyType({})


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
    raise unknown(what, name, table)


def unknown(
    what: str, name: str, known: Collection[str], elsewhere: Mapping[str, str] = NOWHERE
) -> RequestError:
    """Return the error for an unknown name, which lists the nearest name and all known ones.

    ``elsewhere`` has further names, which are not listed, each with how it is written in full.
    """
    in_full = {**elsewhere, **{each: each for each in known}}
    nearest = get_close_matches(name, in_full, n=1, cutoff=0.5)
    hint = f"did you mean {in_full[nearest[0]]!r}? " if nearest else ""
    return RequestError(f"no {what} is called {name!r}; {hint}known: {', '.join(known)}")
