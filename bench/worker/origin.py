"""Check of the origin of imported modules.

A gate's base must not run code of head, because the gate would then find no change.
"""

import os
import sys
from pathlib import Path

VARIABLE = "GOOGLENET_BENCH_NOT_FROM"
"""Environment variable of a worker: the folder from which no module may be imported."""


class OtherCodeError(ImportError):
    """A module was imported from the other side's tree."""


def check() -> None:
    """Raise ``OtherCodeError`` if a module was imported from the forbidden folder.

    Installed modules do not count, even if the Python environment is inside that folder.
    """
    forbidden = os.environ.get(VARIABLE)
    if not forbidden:
        return
    installed = [Path(prefix).resolve() for prefix in (sys.prefix, sys.base_prefix)]
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        # For __main__, the spec has the real name of the module.
        real_name = getattr(getattr(module, "__spec__", None), "name", None) or name
        # torch.ops has the file "_ops.py", which is not a path.
        if not file or not Path(file).is_absolute() or real_name.partition(".")[0] == "bench":
            continue
        path = Path(file).resolve()
        if path.is_relative_to(forbidden) and not any(map(path.is_relative_to, installed)):
            raise OtherCodeError(
                f"{name} was imported from {path}, which is head's: the base has no such module in "
                "its root or its src, the folders from which modules are imported"
            )
