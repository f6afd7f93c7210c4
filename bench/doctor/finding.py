"""A finding: an examined property of the machine, its state, and how severe that is."""

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """What a finding means for measurements."""

    FINE = "fine"
    SPOILS = "spoils figures"
    LIMITS = "prevents some"
    PREVENTS = "prevents measuring"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One examined property of the machine."""

    what: str
    found: str
    state: Severity = Severity.FINE
    advice: str = ""
    """What to do about it; empty if the state is fine."""
