"""A run as a list shows it: without its cells."""

from datetime import datetime

import msgspec


class ListedRun(msgspec.Struct, frozen=True, kw_only=True):
    """The facts about a run; the fields are the columns of the list."""

    run_id: str
    kind: str
    when: datetime
    branch: str | None
    commit: str | None
    dirty: bool | None
    """Whether the checkout had changes that were not committed."""
    status: str
    machine: str
    """Digest of the hardware."""
    machine_name: str
    torch: str
    threads: int | None
    python: str
    cells: int
    """Number of its cells."""
