"""Progress on a node, which is shown on another machine."""

from collections.abc import Callable

from bench.cells.cell import Cell
from bench.engine.remote import messages
from bench.engine.remote.messages import Message
from bench.records.record import Failure


class Forwarded:
    """A progress observer that sends a message for each call."""

    def __init__(self, send: Callable[[Message], None]) -> None:
        self._send = send

    def phase(self, name: str, total: int) -> None:
        """Send that a phase began."""
        self._send(messages.PhaseBegan(name=name, total=total))

    def advance(self, what: str, steps: int = 1) -> None:
        """Send that steps are complete."""
        self._send(messages.Advanced(what=what, steps=steps))

    def visited(self, what: str) -> None:
        """Send that a part of a step is done."""
        self._send(messages.PartDone(what=what))

    def judged(self, voided: int, rounds: int, why: str) -> None:
        """Send how many rounds were voided."""
        self._send(messages.RoundsJudged(voided=voided, rounds=rounds, why=why))

    def failed(self, cell: Cell, failure: Failure) -> None:
        """Send nothing: the event of the failure says the same."""

    def note(self, what: str) -> None:
        """Send a note."""
        self._send(messages.NoteWritten(sentence=what))
