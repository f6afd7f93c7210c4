"""Checked values of options: an invalid one raises a ``RequestError`` that names the option.

Each function returns a parser, which takes a value or its text and the option's name.
"""

import operator
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from bench import names
from bench.archs.source import Shape
from bench.names import RequestError

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


def shape(value: Any, option: str) -> Shape:
    """Return the shape of an image, from ``CxHxW`` or from three whole numbers."""
    parts = tuple(value.split("x") if isinstance(value, str) else value)
    if len(parts) != 3:
        raise RequestError(
            f"{option} takes channels, height and width, such as 1x28x28, not {value!r}"
        )
    channels, height, width = (at_least(1)(part, option) for part in parts)
    return channels, height, width


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


def folder(value: Any, option: str) -> Path:
    """Return a folder; refuse an empty name, which would be the current folder."""
    return Path(not_empty("a folder", "")(value, option))
