"""Arguments in an arch's name: ``NAME?num_classes=10&width=2`` calls its function with these."""

import ast
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from bench.error_text import one_line
from bench.errors import RequestError

Result = TypeVar("Result")


def split(name: str) -> tuple[str, dict[str, Any]]:
    """Return an arch's name without its arguments, and the arguments by name.

    A value is a literal of Python (a number, True, None, a quoted text, a list, …), and otherwise a
    text. Raises ``RequestError`` if the arguments are not of the form ``?KEY=VALUE&KEY=VALUE``.
    """
    plain, separator, text = name.partition("?")
    arguments: dict[str, Any] = {}
    for part in text.split("&") if separator else ():
        key, equals, value = part.partition("=")
        if not (key.isidentifier() and equals):
            raise RequestError(
                f"{name!r} is not an arch: after the question mark, expected KEY=VALUE pairs "
                f"separated by &, not {part!r}"
            )
        if key in arguments:
            raise RequestError(f"{name!r} gives {key} twice")
        arguments[key] = _value(value)
    return plain, arguments


def call(function: Callable[..., Result], arguments: Mapping[str, Any], /, **chosen: Any) -> Result:
    """Call a library's function with the arguments of a name and with those that a source chooses.

    Raises ``RequestError`` if both have one of the same name, or if the function refuses the
    arguments of the name. Without such arguments, errors of the function pass through.
    """
    if not arguments:
        return function(**chosen)
    written = "&".join(f"{name}={value}" for name, value in arguments.items())
    if both := sorted(chosen.keys() & arguments):
        raise RequestError(f"the arguments {written} cannot have {both[0]}: the suite chooses it")
    try:
        return function(**chosen, **arguments)
    except MemoryError:
        raise
    except Exception as error:
        raise RequestError(f"with the arguments {written}: {one_line(error)}") from error


def as_code(function: str, *positional: object, **named: object) -> str:
    """Return a call as a user writes it, from the name of the function and its arguments."""
    written = [*map(repr, positional), *(f"{name}={value!r}" for name, value in named.items())]
    return f"{function}({', '.join(written)})"


def _value(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text
