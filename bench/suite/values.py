"""Checked values of options: an invalid one raises a ``RequestError`` that names the option."""

from collections.abc import Callable
from typing import TypeVar

import pytest

from bench import names
from bench.names import RequestError

Value = TypeVar("Value")


def listed(
    config: pytest.Config, option: str, convert: Callable[[str], Value]
) -> tuple[Value, ...] | None:
    """Return the values of a comma-separated option; None if it is not given."""
    text = config.getoption(option)
    if text is None:
        return None
    return tuple(_converted(part, convert, option) for part in names.listed(text, option))


def at_least(minimum: int, config: pytest.Config, option: str, default: int) -> int:
    """Return an option's whole number; raise ``RequestError`` if it is less than ``minimum``."""
    text = config.getoption(option)
    value = default if text is None else _converted(text, int, option)
    if value < minimum:
        raise RequestError(f"{option} must be at least {minimum}, not {value}")
    return value


def optional_at_least(minimum: int, config: pytest.Config, option: str) -> int | None:
    """Return what ``at_least`` does; None if the option is not given."""
    return None if config.getoption(option) is None else at_least(minimum, config, option, minimum)


def positive(config: pytest.Config, option: str, unit: str = "") -> float | None:
    """Return an option's positive number; None if it is not given."""
    text = config.getoption(option)
    if text is None:
        return None
    value = _converted(text, float, option)
    if not 0 < value < float("inf"):
        raise RequestError(f"{option} must be a positive number{unit}, not {text}")
    return value


def share(config: pytest.Config, option: str) -> float | None:
    """Return an option's share, in (0, 1]; None if it is not given."""
    value = positive(config, option)
    if value is not None and value > 1:
        raise RequestError(f"{option} must be a share of at most 1, not {value:g}")
    return value


def _converted(text: str, convert: Callable[[str], Value], option: str) -> Value:
    try:
        return convert(text)
    except ValueError:
        kind = "a whole number" if convert is int else "a number"
        raise RequestError(f"{option} takes {kind}, not {text!r}") from None
