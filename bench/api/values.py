"""Checked values of options: an invalid one raises a ``RequestError`` that names the option.

Each function returns a parser, which takes a value or its text and the option's name.
"""

import math
import operator
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from bench import names, paths
from bench.archs.source import Shape
from bench.errors import RequestError
from bench.units import GIB, MIB

Value = TypeVar("Value")
Parser: TypeAlias = Callable[[Any, str], Value]


def text(value: Any, _option: str) -> str:
    """Return a value as text."""
    return str(value)


def whole_number(value: Any, option: str) -> int:
    """Return a whole number."""
    try:
        return int(value) if isinstance(value, str) else operator.index(value)
    except (TypeError, ValueError):
        raise RequestError(f"{option} takes a whole number, not {value!r}") from None


def at_least(minimum: int) -> Parser[int]:
    """Return a parser of whole numbers that are not less than ``minimum``."""

    def parse(value: Any, option: str) -> int:
        number = whole_number(value, option)
        if number < minimum:
            raise RequestError(f"{option} must be at least {minimum}, not {number}")
        return number

    return parse


def positive(unit: str = "") -> Parser[float]:
    """Return a parser of positive numbers; ``unit`` is for the message, such as `` of seconds``."""

    def parse(value: Any, option: str) -> float:
        try:
            number = float(value)
        except (TypeError, ValueError):
            raise RequestError(f"{option} takes a number, not {value!r}") from None
        if not 0 < number < float("inf"):
            raise RequestError(f"{option} must be a positive number{unit}, not {value}")
        return number

    return parse


def _with_unit(value: Any, option: str, units: Mapping[str, float], example: str) -> float:
    """Return a positive number with one of these units, in the unit whose factor is 1."""
    found = re.fullmatch(r"([0-9.]+(?:e-?[0-9]+)?)\s*([^0-9\s.]*)", str(value).strip())
    try:
        number = float(found[1]) * units[found[2]] if found else math.nan
    except (KeyError, ValueError):
        number = math.nan
    if not 0 < number < math.inf:
        named = ", ".join(filter(None, units))
        raise RequestError(
            f"{option} takes a positive number with a unit ({named}), such as {example}, not "
            f"{value!r}"
        )
    return number


def duration(value: Any, option: str) -> float:
    """Return a duration in seconds, from text such as ``20ms``, ``0.02s`` or ``500us``."""
    return _with_unit(value, option, {"s": 1, "ms": 1e-3, "us": 1e-6, "µs": 1e-6}, "20ms")


def large_number(value: Any, option: str) -> float:
    """Return a number, from text such as ``30M``, ``1.5G`` or ``25000``."""
    return _with_unit(value, option, {"": 1, "k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9}, "30M")


def size(value: Any, option: str) -> float:
    """Return a size in bytes, from text such as ``1GiB`` or ``500MB``."""
    units = {"KiB": 2**10, "MiB": MIB, "GiB": GIB, "kB": 1e3, "MB": 1e6, "GB": 1e9}
    return _with_unit(value, option, units, "1GiB")


def percentage(value: Any, option: str) -> float:
    """Return a percentage, from 0 to 100."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise RequestError(f"{option} takes a number, not {value!r}") from None
    if not 0 <= number <= 100:
        raise RequestError(f"{option} is a percentage, so from 0 to 100, not {value}")
    return number


def shape(value: Any, option: str) -> Shape:
    """Return the shape of an image, from ``CxHxW`` or from three whole numbers."""
    parts = value.split("x") if isinstance(value, str) else value
    if not isinstance(parts, list | tuple) or len(parts) != 3:
        raise RequestError(
            f"{option} takes channels, height and width, such as 1x28x28, not {value!r}"
        )
    channels, height, width = (at_least(1)(part, option) for part in parts)
    return channels, height, width


def setting(value: Any, option: str) -> str:
    """Return a setting, ``NAME=VALUE``, without the blanks around it."""
    name, equals, _ = str(value).partition("=")
    if not name.strip() or not equals:
        raise RequestError(f"{option} takes NAME=VALUE, not {value!r}")
    return str(value).strip()


def share(value: Any, option: str) -> float:
    """Return a share, in (0, 1]."""
    number = positive()(value, option)
    if number > 1:
        raise RequestError(f"{option} must be a share of at most 1, not {number:g}")
    return number


def listed(parse: Parser[Value]) -> Parser[tuple[Value, ...]]:
    """Return a parser of sequences, or of text with commas, whose values ``parse`` reads."""

    def parse_all(value: Any, option: str) -> tuple[Value, ...]:
        parts = names.listed(value, option) if isinstance(value, str) else value
        try:
            return tuple(parse(part, option) for part in parts)
        except TypeError:
            raise RequestError(f"{option} takes several values, not {value!r}") from None

    return parse_all


def switch(value: Any, option: str) -> bool:
    """Return whether a switch is on."""
    if not isinstance(value, bool):
        raise RequestError(f"{option} is either on or off (True or False), not {value!r}")
    return value


def not_empty(what: str, otherwise: str) -> Parser[str]:
    """Return a parser of names; the message says to name ``what`` or to omit the option."""

    def parse(value: Any, option: str) -> str:
        if not str(value):
            raise RequestError(f"{option} is empty: name {what}, or omit the option{otherwise}")
        return str(value)

    return parse


def file(value: Any, option: str) -> Path:
    """Return a file; refuse an empty name."""
    return paths.usable(not_empty("a file", "")(value, option))


def folder(value: Any, option: str) -> Path:
    """Return a folder; refuse an empty name, which would be the current folder."""
    return paths.usable(not_empty("a folder", "")(value, option))
