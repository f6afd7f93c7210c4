"""The values of options, checked: a wrong one is a ``RequestError`` that names its option."""

from collections.abc import Callable
from typing import TypeVar

import pytest

from bench import names
from bench.names import RequestError

Value = TypeVar("Value")


def listed(
    config: pytest.Config, option: str, convert: Callable[[str], Value]
) -> tuple[Value, ...] | None:
    """The values of a comma-separated option; None where it was not given."""
    text = config.getoption(option)
    if text is None:
        return None
    return tuple(_converted(part, convert, option) for part in names.listed(text, option))


def at_least(least: int, config: pytest.Config, option: str, default: int) -> int:
    """A whole number that an option takes; raises ``RequestError`` for one that is too small."""
    text = config.getoption(option)
    value = default if text is None else _converted(text, int, option)
    if value < least:
        raise RequestError(f"{option} must be at least {least}, not {value}")
    return value


def at_least_if_given(least: int, config: pytest.Config, option: str) -> int | None:
    """The same of an option that may be left out; None where it was."""
    return None if config.getoption(option) is None else at_least(least, config, option, least)


def positive(config: pytest.Config, option: str, unit: str = "") -> float | None:
    """A positive number that an option takes; None where it was not given."""
    text = config.getoption(option)
    if text is None:
        return None
    value = _converted(text, float, option)
    if not 0 < value < float("inf"):
        raise RequestError(f"{option} must be a positive number{unit}, not {text}")
    return value


def share(config: pytest.Config, option: str) -> float | None:
    """A positive number of 1 at the most that an option takes; None where it was not given."""
    value = positive(config, option)
    if value is not None and value > 1:
        raise RequestError(f"{option} is a share, of 1 at the most, not {value:g}")
    return value


def _converted(text: str, convert: Callable[[str], Value], option: str) -> Value:
    try:
        return convert(text)
    except ValueError:
        kind = "a whole number" if convert is int else "a number"
        raise RequestError(f"{option} takes {kind}, not {text!r}") from None
