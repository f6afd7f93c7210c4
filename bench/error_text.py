"""One-line summaries of exceptions, for tables and terminals."""


def first_line(message: str) -> str:
    """Return the first non-empty line of a message, or an empty string."""
    return next(iter(message.strip().splitlines()), "")


def one_line(error: Exception) -> str:
    """Return an exception's type and, if it has a message, the message's first line."""
    first = first_line(str(error))
    return f"{type(error).__name__}: {first}" if first else type(error).__name__
