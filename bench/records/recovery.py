"""What a journal still says of its run, although lines of it may be damaged."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.errors import RequestError
from bench.records import journal
from bench.records.events import Noted
from bench.records.journal import DamagedJournalError
from bench.records.outcome import Outcome

READ_IN_PART = "Only what stands before that line was read."
"""How the note ends that says where a journal is damaged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovered:
    """The outcome of a journal's events before its first damaged line."""

    outcome: Outcome
    damage: DamagedJournalError | None = None
    """The first damaged line; None if the journal is intact."""


def recover(path: Path) -> Recovered:
    """Return the outcome of an interrupted run, from the intact part of its journal.

    Raises ``RequestError`` if the file is not a journal, is one of another version, or if already
    its first line is damaged.
    """
    recorded = journal.read(path)
    outcome = Outcome.begun(next(recorded))
    line, damage = 1, None
    try:
        for event in recorded:
            line += 1
            outcome.apply(event)
    except DamagedJournalError as error:
        damage = error
    except RequestError as error:
        damage = DamagedJournalError(path, line, str(error))
    outcome.interrupt()
    return Recovered(outcome=outcome, damage=damage)


def with_note(path: Path) -> Outcome:
    """Return the outcome as ``recover`` does, with a note that says what is missing, if it is."""
    recovered = recover(path)
    if damage := recovered.damage:
        recovered.outcome.apply(Noted(sentence=f"{damage}. {READ_IN_PART}"))
    return recovered.outcome


def resumable(path: Path, note: Callable[[str], None]) -> Outcome:
    """Return the outcome as ``recover`` does, after removing damaged lines from the journal.

    A copy keeps them; ``note`` is called with a sentence that says so. Raises ``RequestError`` as
    ``recover`` does, and if the copy cannot be written.
    """
    recovered = recover(path)
    if damage := recovered.damage:
        copy = journal.cut(path, damage.line)
        note(
            f"{damage}. The run continues from what stands before that line; {copy} is a copy of "
            "the damaged journal"
        )
    return recovered.outcome
