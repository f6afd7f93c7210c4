"""Lookup of names in a table; the error for an unknown name lists the known ones."""

import re
from collections.abc import Collection, Mapping
from difflib import get_close_matches
from types import MappingProxyType
from typing import TypeVar

from bench.errors import RequestError

# A comma that no closing bracket follows before the next opening one.
_SEPARATOR = re.compile(r",(?![^\[(]*[\])])")
Entry = TypeVar("Entry")
MOST_LISTED = 100
"""An error lists the known names only if there are no more than this."""
NOWHERE: Mapping[str, str] = MappingProxyType({})


def listed(text: str, option: str) -> tuple[str, ...]:
    """Split a comma-separated list of names; raises ``RequestError`` if a name is empty.

    Commas in brackets or parentheses do not separate, as in ``my:net?layers=[2,2]``.
    """
    parts = tuple(part.strip() for part in _SEPARATOR.split(text))
    if not all(parts):
        raise RequestError(f"{option} {text!r} has an empty name between its commas")
    return parts


def matches(pattern: str, name: str) -> bool:
    """Return whether a name matches a pattern, in which only ``*`` is special: it is any text.

    Names of networks may contain the other special characters of shells, ``?`` and ``[``.
    """
    parts = map(re.escape, pattern.split("*"))
    return re.fullmatch(".*".join(parts), name, re.DOTALL) is not None


def choose(what: str, name: str, table: Mapping[str, Entry]) -> Entry:
    """Return the entry called ``name``.

    Raises ``RequestError`` if it is unknown; the message lists the nearest name and all known ones.
    """
    if name in table:
        return table[name]
    raise unknown(what, name, table)


def hint(name: str, known: Mapping[str, str]) -> str:
    """Return a question with the nearest of the known names, or an empty text.

    ``known`` has each name with how it is written in full.
    """
    nearest = get_close_matches(name, known, n=1, cutoff=0.5)
    return f"did you mean {known[nearest[0]]!r}?" if nearest else ""


def unknown(
    what: str, name: str, known: Collection[str], elsewhere: Mapping[str, str] = NOWHERE
) -> RequestError:
    """Return the error for an unknown name, with the nearest name and, if few, all known ones.

    ``elsewhere`` has further names, which are not listed, each with how it is written in full.
    """
    in_full = {**elsewhere, **{each: each for each in known}}
    nearest = hint(name, in_full)
    meant = f"{nearest} " if nearest else ""
    listed = ", ".join(known) if len(known) <= MOST_LISTED else f"{len(known):,} names"
    return RequestError(f"no {what} is called {name!r}; {meant}known: {listed}")
