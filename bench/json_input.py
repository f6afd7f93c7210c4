"""JSON from outside: text that can be shown, and numbers with which the suite can compute."""

import re
from typing import Any

import msgspec

from bench import printable

_LONG_NUMBER = re.compile(rb"(?<![0-9.])[0-9]{19}")  # not of a fraction
_MOST = 2**63


class JsonError(ValueError):
    """JSON from outside cannot be used; the message is a clause that says why."""


def has_long_number(data: bytes) -> bool:
    """Whether the text may have an integer that does not fit into 64 bits."""
    return _LONG_NUMBER.search(data) is not None


def decode(data: bytes) -> Any:
    """Return the content of JSON.

    Raises ``JsonError`` if it is not JSON, is nested too deeply, or has an integer of more than
    64 bits: pandas cannot store such a number, and a very large one cannot become a float.
    """
    try:
        content = msgspec.json.decode(data)
    except RecursionError as error:
        raise JsonError(fault(error)) from error
    except (msgspec.DecodeError, ValueError) as error:
        raise JsonError(f"it is not JSON: {fault(error)}") from error
    if has_long_number(data):
        _check_integers(content)
    return content


def cleaned(content: Any) -> Any:
    """Return the content of JSON in which all text is printable.

    Raises ``JsonError`` if it is nested too deeply.
    """
    try:
        return printable.cleaned(content)
    except RecursionError as error:
        raise JsonError(fault(error)) from error


def fault(error: Exception) -> str:
    """Return what an error of decoding says, without msgspec's "JSON is malformed"."""
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    return str(error).removeprefix("JSON is malformed: ")


def _check_integers(content: Any) -> None:
    rest = [content]
    while rest:
        each = rest.pop()
        if isinstance(each, int) and not -_MOST <= each < _MOST:
            raise JsonError("it has an integer of more than 64 bits")
        if isinstance(each, dict):
            rest += each.values()
        elif isinstance(each, list):
            rest += each
