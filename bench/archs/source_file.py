"""Python files named by their paths, imported as modules."""

import hashlib
import importlib.util
import os
import sys
from collections.abc import Iterable
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

    The file's own folder is then searched first for what it imports, as with ``python FILE``.
    Raises ``RequestError`` if there is no such file; errors of its code pass through.
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
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[module_name]
        raise
    return module
