"""A finding: what was looked at, what is there, and whether that is well."""

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """What a finding means for who wants to measure."""

    FINE = "fine"
    SPOILS = "spoils figures"
    LIMITS = "prevents some"
    PREVENTS = "prevents measuring"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at."""

    what: str
    found: str
    state: Severity = Severity.FINE
    advice: str = ""
    """What to do about it; empty where it is fine."""
