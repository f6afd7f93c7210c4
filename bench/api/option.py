"""Options: each is declared once, as a field of a request, for pytest, argparse and Python."""

import argparse
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, TypeVar

from bench.api import values
from bench.api.values import Parser

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    Request = TypeVar("Request", bound=DataclassInstance)

_KEY = "option"


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """An option of the command line, and how its value is read."""

    help: str
    group: str
    """Title of the options in ``--help`` that this one is shown with."""
    metavar: str | None
    default: Any
    parse: Parser[Any]

    @property
    def arguments(self) -> Mapping[str, Any]:
        """The keyword arguments of ``add_argument`` and of pytest's ``addoption``."""
        shared = {"default": self.default, "help": self.help.replace("%", "%%")}
        if self.parse is not values.switch:
            return {**shared, "metavar": self.metavar}
        can_be_negated = self.default is None
        action = argparse.BooleanOptionalAction if can_be_negated else "store_true"
        return {**shared, "action": action}


def option(
    help: str,  # noqa: A002 - argparse's name
    *,
    group: str,
    parse: Parser[Any] = values.text,
    metavar: str | None = None,
    default: Any = None,
) -> Any:
    """Declare an option as a field of a request.

    ``--help`` shows it under the title ``group``. ``parse`` checks its value or text. With
    ``values.switch`` the option takes no value; if its default is None, it also has a negative
    form, ``--no-NAME``.
    """
    declared_option = Option(help=help, group=group, metavar=metavar, default=default, parse=parse)
    return field(default=default, metadata={_KEY: declared_option})


def declared(request: "type[DataclassInstance]") -> Mapping[str, Option]:
    """Return the options of a request by the name of the field, in the order of ``--help``."""
    return {each.name: each.metadata[_KEY] for each in fields(request) if _KEY in each.metadata}


def flag(name: str) -> str:
    """Return an option as it is typed, from the name of its field."""
    return f"--{_as_typed(name).replace('_', '-')}"


def _as_typed(name: str) -> str:
    """Return a field's name without the underscore that ``from_`` needs in Python."""
    return name.rstrip("_")


def add(
    adder: Callable[[str], Callable[..., object]],
    request: "type[DataclassInstance]",
    only: Collection[str] | None = None,
) -> None:
    """Add a request's options, or ``only`` those of these names, to argparse or pytest.

    ``adder`` takes a group's title and returns its ``add_argument`` (argparse) or ``addoption``
    (pytest). It is called once for each group.
    """
    options = {
        name: each for name, each in declared(request).items() if only is None or name in only
    }
    adders = {
        title: adder(title) for title in dict.fromkeys(each.group for each in options.values())
    }
    for name, each in options.items():
        adders[each.group](flag(name), **each.arguments)


def add_to_parser(
    parser: argparse.ArgumentParser,
    request: "type[DataclassInstance]",
    only: Collection[str] | None = None,
) -> None:
    """Add a request's options, or ``only`` some, to a parser of argparse, in their groups."""
    add(lambda title: parser.add_argument_group(title).add_argument, request, only)


def read_parsed(request: "type[Request]", options: argparse.Namespace) -> "Request":
    """Return a request with the options that argparse parsed; others have their defaults."""
    return read(request, lambda name: getattr(options, _as_typed(name), None))


def typed(options: argparse.Namespace, declared_options: Mapping[str, Option]) -> Iterator[str]:
    """Yield the options that differ from their defaults as they are typed.

    Those that repeat nothing, the folder of the reports and ``--resume``, are left out.
    """
    for name, each in declared_options.items():
        value = getattr(options, _as_typed(name))
        if name in {"report_dir", "resume"} or value == each.default:
            continue
        yield flag(name)
        if value is not True:
            yield str(value)


def read(request: "type[Request]", value_of: Callable[[str], Any]) -> "Request":
    """Return a request; ``value_of`` returns an option's value or text, by field name.

    None stands for the default. Raises ``RequestError`` if a value is invalid; the message names
    the option as it is typed.
    """
    given = {name: (each, value_of(name)) for name, each in declared(request).items()}
    return request(
        **{
            name: each.default if value is None else each.parse(value, flag(name))
            for name, (each, value) in given.items()
        }
    )
