"""Exit codes of all commands."""

import importlib
import sys
from enum import IntEnum


class Exit(IntEnum):
    """Exit code, with the same meaning for every command."""

    FINE = 0
    FAILED = 1
    """A cell failed or regressed, a count is not the baseline's, or a machine cannot measure."""
    WRONG_REQUEST = 2
    """The request was wrong or the process was interrupted; a message says which."""
    UNDECIDED = 3


def run(program: str, module: str) -> int:
    """Import a module and run its ``main``; Ctrl-C prints a message, even during the import."""
    try:
        code: int = importlib.import_module(module).main()
    except KeyboardInterrupt:
        sys.stderr.write(f"{program}: interrupted\n")
        return Exit.WRONG_REQUEST
    return code
