"""Python files named by their paths, imported as modules."""

import hashlib
import importlib.util
import os
import sys
from collections.abc import Iterable, Iterator, Set
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import TypeGuard

from bench.errors import RequestError

SUFFIX = ".py"
SUITE = __name__.partition(".")[0]
"""The name of this package, which a package of the user may have too."""
VARIABLE = "GOOGLENET_BENCH_ROOTS"
"""Environment variable with the folders in which workers look relative files up."""


def is_path(name: str) -> bool:
    """Return whether a name is that of a Python file, not of a module."""
    return name.endswith(SUFFIX)


def roots() -> tuple[Path, ...]:
    """Return the folders in which this process looks relative files up.

    They are the current folder, or the project's for networks that its settings name, or in a gate
    head's for head and the base's for the base. Python's path is not searched: it has this
    project's files, and those of libraries.
    """
    listed = os.environ.get(VARIABLE, "").split(os.pathsep)
    return tuple(Path(root or ".").absolute() for root in listed)


@contextmanager
def looked_up_in(folder: Path) -> Iterator[None]:
    """Look relative files and modules up in ``folder`` instead of the current one, meanwhile.

    This holds for this process, and for the workers that it starts.
    """
    if folder.resolve() == Path.cwd():
        yield
        return
    before, root = os.environ.get(VARIABLE), str(folder.absolute())
    os.environ[VARIABLE] = root
    sys.path.insert(0, root)
    try:
        yield
    finally:
        sys.path.remove(root)
        del os.environ[VARIABLE]
        if before is not None:
            os.environ[VARIABLE] = before


def find(name: str, folders: Iterable[Path]) -> Path | None:
    """Return the absolute path of a file; a relative name is looked up in ``folders``, in order."""
    candidates = ((folder / name).absolute() for folder in folders)
    return next((path for path in candidates if path.is_file()), None)


def load(name: str) -> ModuleType:
    """Import a file, once per process, and return its module.

    The file's own folder is then searched first for what it imports, as with ``python FILE``; two
    files may import different modules of one name from their folders. In a package, relative
    imports work too; the package's own ``__init__.py`` is not run for this file. Raises
    ``RequestError`` if there is no such file, or if it imports a module of a package of its own
    called bench by its absolute name; other errors of its code pass through.
    """
    path = find(name, roots())
    if path is None:
        searched = os.environ.get(VARIABLE, "").replace(os.pathsep, " or ")
        raise RequestError(f"there is no file {name} in {searched or 'the current folder'}")
    module_name = _module_name(path)
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
    except BaseException as error:
        del sys.modules[module_name]
        if _is_of_own_bench(error, path):
            raise RequestError(
                f"{path} cannot import from {error.name!r}, because here {SUITE} is the package of "
                "googlenet-bench: import relatively, as in `from .module import NAME`"
            ) from error
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


def _packages(path: Path) -> tuple[Path, ...]:
    """Return the folders of the packages that a file is in, the outermost first."""
    folders: list[Path] = []
    for folder in path.parents:
        if not (folder / "__init__.py").is_file():
            break
        folders.insert(0, folder)
    return tuple(folders)


def _module_name(path: Path) -> str:
    """Return the name of a file's module; add modules for its packages, without their code.

    The outermost name is unique, because two files or packages may have the same name in different
    folders, and an imported package may have that of the user's.
    """
    packages = _packages(path)
    outermost = packages[0] if packages else path
    unique = f"{outermost.stem}_{hashlib.sha256(bytes(outermost)).hexdigest()[:8]}"
    if not packages:
        return unique
    name = unique
    for folder in packages:
        name = unique if folder == outermost else f"{name}.{folder.name}"
        if name not in sys.modules:
            package = ModuleType(name)
            package.__path__ = [str(folder)]
            sys.modules[name] = package
    return f"{name}.{path.stem}"


def importable(name: str) -> tuple[Path, str]:
    """Return the folder from which Python imports a file, and the name of its module there.

    The folder is that of the outermost package that the file is in, or that of the file.
    """
    path = find(name, roots()) or Path(name).absolute()
    packages = _packages(path)
    folder = packages[0].parent if packages else path.parent
    return folder, ".".join(path.relative_to(folder).with_suffix("").parts)


def _is_of_own_bench(error: BaseException, path: Path) -> TypeGuard[ImportError]:
    """Whether a file of a package called bench could not import a module of that package."""
    if not isinstance(error, ImportError) or (error.name or "").partition(".")[0] != SUITE:
        return False
    return any(folder.name == SUITE for folder in _packages(path))
