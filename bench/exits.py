"""Exit codes: what a process that ends tells whoever started it."""

import importlib
import sys
from enum import IntEnum


class Exit(IntEnum):
    """The same for every command."""

    FINE = 0
    FAILED = 1
    """A cell failed or regressed, a count is not the baseline's, or a machine cannot measure."""
    WRONG_REQUEST = 2
    """Or it was interrupted; a sentence says which."""
    UNDECIDED = 3


def run(program: str, module: str) -> int:
    """Import a module and run its ``main``; Ctrl-C is a sentence, while it is imported too."""
    try:
        code: int = importlib.import_module(module).main()
    except KeyboardInterrupt:
        sys.stderr.write(f"{program}: interrupted\n")
        return Exit.WRONG_REQUEST
    return code
