"""A connection to the process of a job on a node, from the side of the run."""

from abc import ABC, abstractmethod
from collections import deque

from bench.engine.remote import messages
from bench.engine.remote.messages import Message


class NodeLostError(Exception):
    """Raised if a job cannot be completed where it is, but elsewhere or once more."""

    def __init__(self, why: str, *, is_of_node: bool = False) -> None:
        """``is_of_node``: whether the node is not to be used again, if that can be avoided."""
        super().__init__(why)
        self.is_of_node = is_of_node


class Connection(ABC):
    """The process of one job, which may still wait for its node."""

    name: str
    """Name of the node in the run."""

    def __init__(self) -> None:
        self._lines: deque[bytes] = deque()

    def next_message(self, limit_s: float | None) -> Message:
        """Wait for the next message, at most ``limit_s``; None for no limit.

        Raises ``NodeLostError`` if there is none. An interrupt while it waits loses no message.
        """
        while not self._lines:
            self._lines.extend(self.receive(limit_s).splitlines())
        return messages.decode(self._lines.popleft())

    @abstractmethod
    def receive(self, limit_s: float | None) -> bytes:
        """Wait for more complete lines and return them, or nothing to be asked again.

        Raises ``NodeLostError`` if there will be none, or if ``limit_s`` has passed.
        """

    @abstractmethod
    def interrupt(self) -> None:
        """Let the process judge the rounds until now, and end."""

    @abstractmethod
    def close(self) -> None:
        """End the process, if it is alive, and free the node."""
