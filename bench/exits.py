"""Exit codes: what a process that ends tells whoever started it."""

from enum import IntEnum


class Exit(IntEnum):
    """The same for every command."""

    FINE = 0
    FAILED = 1
    """A cell failed or regressed, a count is not the baseline's, or a machine cannot measure."""
    WRONG_REQUEST = 2
    """Or it was interrupted; a sentence says which."""
    UNDECIDED = 3
