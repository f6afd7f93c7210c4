"""An entry: what a history stores of a run. Plain data."""

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from bench.errors import RequestError

RUN, GATE, PYTEST_BENCHMARK = "run", "gate", "pytest-benchmark"
"""What an entry is made from: a run, the head of a gate, or a file of another project."""
MEASURED = "measured"
_DIGEST_LENGTH = 32  # hexadecimal digits: 128 bits, like the ids of runs
_NO_COMMIT = frozenset({"", "unversioned", "unknown"})  # pytest-benchmark's words
_NO_BRANCH = frozenset({"", "(unknown)", "(error)", "(detached head)"})


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """The value of a metric of a cell."""

    metric: str
    value: float
    low: float | None = None
    high: float | None = None
    """Ends of the 95 % interval; None if it has none."""


class About(msgspec.Struct, frozen=True, kw_only=True):
    """How the values of a metric are read. It is stored, because a plugin may no longer exist."""

    name: str
    unit: str = ""
    better: str | None = None
    """``more`` or ``less``; None if neither is better."""
    neutral: float | None = None
    """The value that means no difference: 1 for ratios. None for all others."""


class CellEntry(msgspec.Struct, frozen=True, kw_only=True):
    """What a history stores of a cell."""

    cell: str
    """Id of the cell, or the full name of a benchmark of another project."""
    arch: str = ""
    mode: str = ""
    dtype: str = ""
    batch_size: int | None = None
    task: str = ""
    device: str = ""
    image_size: str = ""
    """Size of the images or shapes of the inputs; empty if it is unknown."""
    reference: str = ""
    """Id of the cell that ratios are relative to; empty if there is none."""
    status: str = MEASURED
    """``measured``, ``not measured``, or the kind of failure."""
    figures: tuple[Figure, ...] = ()


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """The hardware of a run."""

    name: str
    """Name of the device: the CPU or the GPU."""
    facts: Mapping[str, Any]

    @property
    def digest(self) -> str:
        """Digest of the facts; it is the same for machines that cannot be told apart."""
        return digest(self.facts)


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """What a history stores of a run."""

    run_id: str
    kind: str
    when: datetime
    """Time at which the run was written, in UTC."""
    commit: str | None
    branch: str | None
    dirty: bool | None
    """Whether the checkout had changes that were not committed."""
    code: str | None
    """Digest of the sources."""
    status: str
    """``complete``, or how the run ended before."""
    command: str
    machine: Machine
    torch: str
    python: str
    threads: int | None
    cells: tuple[CellEntry, ...]
    metrics: tuple[About, ...]
    """Those of the figures."""


def digest(data: object) -> str:
    """Return a digest of plain data, which does not depend on the order of keys."""
    encoded = msgspec.json.encode(data, order="deterministic")
    return hashlib.sha256(encoded).hexdigest()[:_DIGEST_LENGTH]


def read_time(text: str) -> datetime:
    """Return the time of a file in UTC. Raises ``RequestError`` if it has none."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError as error:
        raise RequestError(
            f"its date is {text!r}, so that it has no place in a history: a date such as "
            "2026-01-31T12:00:00+00:00 was expected"
        ) from error
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).astimezone(UTC)


def read_commit(info: Mapping[str, Any]) -> str | None:
    """Return the commit of pytest-benchmark's facts; None if it is unknown."""
    commit = info.get("id")
    return commit if isinstance(commit, str) and commit not in _NO_COMMIT else None


def read_branch(info: Mapping[str, Any]) -> str | None:
    """Return the branch of pytest-benchmark's facts; None if it is unknown."""
    branch = info.get("branch")
    return branch if isinstance(branch, str) and branch not in _NO_BRANCH else None


def read_dirty(info: Mapping[str, Any]) -> bool | None:
    """Return whether the checkout had changes; None if it is unknown."""
    dirty = info.get("dirty")
    return dirty if isinstance(dirty, bool) else None
