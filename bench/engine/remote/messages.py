"""Messages: what the process of a job writes, each a line of JSON. The last one says how it ended.

Everything that ``Shown`` includes is for the user, who watches on another machine.
"""

from abc import abstractmethod
from typing import TypeAlias

import msgspec

from bench.engine.hosts.host import Described
from bench.engine.progress import Progress
from bench.machine.busiest import Busiest
from bench.records.events import Event


class _Message(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Base class of the messages."""


class Happened(_Message, frozen=True, kw_only=True):
    """An event of the run."""

    event: Event


class NodeDescribed(_Message, frozen=True, kw_only=True):
    """The environment of the node's workers."""

    described: Described


class LoadWatched(_Message, frozen=True, kw_only=True):
    """The processes of others that kept the node busy, after a set that was voided for load."""

    busiest: Busiest


class Shown(_Message, frozen=True, kw_only=True):
    """Base class of the messages about progress."""

    @abstractmethod
    def show(self, progress: Progress) -> None:
        """Pass the message on."""


class PhaseBegan(Shown, frozen=True, kw_only=True):
    """A phase began."""

    name: str
    total: int

    def show(self, progress: Progress) -> None:
        """Pass the message on."""
        progress.phase(self.name, self.total)


class Advanced(Shown, frozen=True, kw_only=True):
    """Steps are complete."""

    what: str
    steps: int

    def show(self, progress: Progress) -> None:
        """Pass the message on."""
        progress.advance(self.what, self.steps)


class PartDone(Shown, frozen=True, kw_only=True):
    """A part of a step is done."""

    what: str

    def show(self, progress: Progress) -> None:
        """Pass the message on."""
        progress.visited(self.what)


class RoundsJudged(Shown, frozen=True, kw_only=True):
    """Rounds were judged."""

    voided: int
    rounds: int
    why: str

    def show(self, progress: Progress) -> None:
        """Pass the message on."""
        progress.judged(self.voided, self.rounds, self.why)


class NoteWritten(Shown, frozen=True, kw_only=True):
    """A note for the user."""

    sentence: str

    def show(self, progress: Progress) -> None:
        """Pass the message on."""
        progress.note(self.sentence)


class Completed(_Message, frozen=True, kw_only=True):
    """The last message of a job that is complete."""


class Interrupted(_Message, frozen=True, kw_only=True):
    """The last message of a job that was interrupted; its rounds until then are judged."""


class Refused(_Message, frozen=True, kw_only=True):
    """The last message of a job that the node cannot measure as requested."""

    sentence: str


class NoWorker(_Message, frozen=True, kw_only=True):
    """The last message of a job for which no worker can be started."""

    kind: str
    sentence: str
    stderr: str


class Died(_Message, frozen=True, kw_only=True):
    """Added by the node if the process ended without a last message, or with an error."""

    why: str
    stderr: str


Message: TypeAlias = (
    Happened
    | NodeDescribed
    | LoadWatched
    | PhaseBegan
    | Advanced
    | PartDone
    | RoundsJudged
    | NoteWritten
    | Completed
    | Interrupted
    | Refused
    | NoWorker
    | Died
)

_ENCODER = msgspec.json.Encoder()
_DECODER: msgspec.json.Decoder[Message] = msgspec.json.Decoder(Message)


def encode(message: Message) -> bytes:
    """Return a message as a line."""
    return _ENCODER.encode(message) + b"\n"


def decode(line: bytes) -> Message:
    """Return the message of a line."""
    return _DECODER.decode(line)
