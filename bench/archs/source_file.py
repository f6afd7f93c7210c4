"""Python files named by their paths, imported as modules."""

import hashlib
import importlib.util
import os
import sys
from collections.abc import Iterable, Set
from pathlib import Path
from types import ModuleType

from bench.names import RequestError

SUFFIX = ".py"
VARIABLE = "GOOGLENET_BENCH_ROOTS"
"""Environment variable of a gate's workers: the folders in which relative files are looked up."""


def is_path(name: str) -> bool:
    """Return whether a name is that of a Python file, not of a module."""
    return name.endswith(SUFFIX)


def roots() -> tuple[Path, ...]:
    """Return the folders in which this process looks relative files up.

    They are the current folder, or in a gate head's for head and the base's for the base. Python's
    path is not searched: it has this project's files, and those of libraries.
    """
    return tuple(Path(root or ".") for root in os.environ.get(VARIABLE, "").split(os.pathsep))


def find(name: str, folders: Iterable[Path]) -> Path | None:
    """Return the absolute path of a file; a relative name is looked up in ``folders``, in order."""
    candidates = ((folder / name).absolute() for folder in folders)
    return next((path for path in candidates if path.is_file()), None)


def load(name: str) -> ModuleType:
    """Import a file, once per process, and return its module.

    The file's own folder is then searched first for what it imports, as with ``python FILE``; two
    files may import different modules of one name from their folders. Raises ``RequestError`` if
    there is no such file; errors of its code pass through.
    """
    path = find(name, roots())
    if path is None:
        searched = os.environ.get(VARIABLE, "").replace(os.pathsep, " or ")
        raise RequestError(f"there is no file {name} in {searched or 'the current folder'}")
    # Two files may have the same name in different folders.
    module_name = f"{path.stem}_{hashlib.sha256(bytes(path)).hexdigest()[:8]}"
    if module_name in sys.modules:
        return sys.modules[module_name]
    spec = importlib.util.spec_from_file_location(module_name, path)
    if spec is None or spec.loader is None:
        raise RequestError(f"{path} cannot be imported as a Python module")
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module  # dataclasses and torch look a class's module up there
    sys.path.insert(0, str(path.parent))
    _forget_neighbours(path.parent)
    before = set(sys.modules)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[module_name]
        raise
    finally:
        _neighbours.setdefault(path.parent, set()).update(_new_in(path.parent, before))
    return module


_neighbours: dict[Path, set[str]] = {}
"""The modules that files imported from their own folder, by folder."""


def _new_in(folder: Path, before: Set[str]) -> set[str]:
    """Return the modules of a folder that were imported since then."""
    new = (name for name in sys.modules if name.partition(".")[0] not in before)
    files = {name: getattr(sys.modules[name], "__file__", None) for name in new}
    return {name for name, file in files.items() if file and Path(file).is_relative_to(folder)}


def _forget_neighbours(folder: Path) -> None:
    """Let imports find the modules of ``folder`` instead of others with the same names.

    Files that imported the others still have them.
    """
    for other in _neighbours.keys() - {folder}:
        for name in _neighbours.pop(other):
            sys.modules.pop(name, None)
