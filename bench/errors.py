"""The error of a wrong request."""

from bench.printable import printable


class RequestError(ValueError):
    """Raised if a request is wrong; the message is for the user, and the exit code is 2."""

    def __init__(self, message: str) -> None:
        """``message`` is made printable, because it may quote what was read from a file."""
        super().__init__(printable(message))
