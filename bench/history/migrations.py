"""Versions of the tables: new databases get the present one, and earlier ones are brought to it."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from sqlalchemy import Connection, func, insert, inspect, select, update

from bench.history.tables import METADATA, VERSION

Step = Callable[[Connection], None]
STEPS: Mapping[int, Step] = MappingProxyType({})
"""The changes of tables, by the version that each leads to, from 2 on.

A step is SQL that does not use the tables of tables.py, because later versions change them. To make
one, add a file of the version before to tests/bench/history/files.
"""


class UnusableError(Exception):
    """Raised if a database has no tables that can be used; the message says why."""


def present(steps: Mapping[int, Step] = STEPS) -> int:
    """Return the version of the tables that this program reads and writes."""
    return max(steps, default=1)


def stored(connection: Connection) -> int | None:
    """Return the version of a database; None if it has no tables of a history.

    Raises ``UnusableError`` if it belongs to another program.
    """
    names = inspect(connection).get_table_names()
    if VERSION.name in names:
        number = connection.scalar(select(func.max(VERSION.c.number)))
        if not isinstance(number, int):
            raise UnusableError("it is damaged: it does not say which version it has")
        return number
    # A server's database may have tables of other programs, but a file has one owner.
    is_file = connection.dialect.name == "sqlite"
    others = names if is_file else sorted(METADATA.tables.keys() & names)
    if others:
        raise UnusableError(f"it is a database of another program, with the table {others[0]}")
    return None


def is_present(number: int | None, steps: Mapping[int, Step] = STEPS) -> bool:
    """Return whether a version is the present one. Raises ``UnusableError`` if it is newer."""
    if number is not None and number > present(steps):
        raise UnusableError(
            f"it has version {number}, but this googlenet-bench reads versions up to "
            f"{present(steps)}: update googlenet-bench"
        )
    return number == present(steps)


def apply(connection: Connection, steps: Mapping[int, Step] = STEPS) -> None:
    """Make the tables, or bring them to the present version, in the connection's transaction."""
    number = stored(connection)
    if is_present(number, steps):  # another process was faster
        return
    if number is None:
        METADATA.create_all(connection)
        connection.execute(insert(VERSION).values(number=present(steps)))
        return
    for version in range(number + 1, present(steps) + 1):
        steps[version](connection)
    connection.execute(update(VERSION).values(number=present(steps)))
