"""Exceptions in a line: what a reader of a table or of a terminal is told of them."""


def first_line(message: str) -> str:
    """The first line of a message that says anything; empty where none does."""
    return next(iter(message.strip().splitlines()), "")


def in_a_line(error: Exception) -> str:
    """An exception's type, and the first line of its message where it has one."""
    first = first_line(str(error))
    return f"{type(error).__name__}: {first}" if first else type(error).__name__
