"""Where code came from: a gate's base must not run head's code, which it would find unchanged."""

import os
import sys
from pathlib import Path

VARIABLE = "GOOGLENET_BENCH_NOT_FROM"
"""Names the folder, in the environment of a worker, that nothing may have been imported from."""


class ForeignCodeError(ImportError):
    """A module came from the other side's tree."""


def check() -> None:
    """Raise ``ForeignCodeError`` where a module came from the folder that none may come from.

    What is installed does not count, though the environment may lie in that folder.
    """
    forbidden = os.environ.get(VARIABLE)
    if not forbidden:
        return
    installed = [Path(prefix).resolve() for prefix in (sys.prefix, sys.base_prefix)]
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        # What runs as __main__ has another name by which it was found.
        found_as = getattr(getattr(module, "__spec__", None), "name", None) or name
        # torch.ops says that it came from "_ops.py", which is no place.
        if not file or not Path(file).is_absolute() or found_as.partition(".")[0] == "bench":
            continue
        path = Path(file).resolve()
        if path.is_relative_to(forbidden) and not any(map(path.is_relative_to, installed)):
            raise ForeignCodeError(
                f"{name} came from {path}, which is head's: the base does not have it where "
                "modules are looked for, which is its root and its src"
            )
