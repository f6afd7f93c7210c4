"""JSON from outside, decoded: numbers are those with which the suite can compute."""

import re
from typing import Any

import msgspec

_LONG_NUMBER = re.compile(rb"(?<![0-9.])[0-9]{19}")  # not of a fraction
_MOST = 2**63


class LongNumberError(ValueError):
    """JSON has an integer that does not fit into 64 bits."""


def has_long_number(data: bytes) -> bool:
    """Whether the text may have an integer that does not fit into 64 bits."""
    return _LONG_NUMBER.search(data) is not None


def decode(data: bytes) -> Any:
    """Return the content of JSON.

    Raises ``LongNumberError`` for an integer of more than 64 bits: pandas cannot store it, and a
    very large one cannot become a float. Raises what ``msgspec.json.decode`` raises for no JSON.
    """
    content = msgspec.json.decode(data)
    if has_long_number(data):
        _check(content)
    return content


def _check(content: Any) -> None:
    if isinstance(content, int) and not -_MOST <= content < _MOST:
        raise LongNumberError("it has an integer of more than 64 bits")
    if isinstance(content, dict):
        content = list(content.values())
    if isinstance(content, list):
        for each in content:
            _check(each)
