"""The code that stands here: what a run is of.

Not all that git knows: a README, or the report of a run that was cut off, may change before it is
resumed.
"""

import hashlib
import importlib.util
import os
import sys
from collections.abc import Iterator
from importlib.machinery import PathFinder
from pathlib import Path

from bench.cells.plan import Plan
from bench.engine.launch import ROOT
from bench.gate import git
from bench.names import RequestError
from bench.records.code import Code

OURS = ("bench", "googlenet")
LIBRARY = "torchvision"  # its version is in the environment


def here(plan: Plan) -> Code:
    """Ours, and the modules of the plan's own factories with what lies beside them.

    What those import from elsewhere is not looked at.
    """
    found = hashlib.sha256()
    for path in sorted(filter(Path.is_file, set(_sources(plan)))):
        content = path.read_bytes()
        found.update(f"{path.name}\0{len(content)}\0".encode() + content)
    return Code(commit=_commit(), digest=found.hexdigest())


def _commit() -> str | None:
    try:
        if git.top(ROOT) == ROOT:  # and no project's in whose environment this is installed
            return git.text(ROOT, "rev-parse", "HEAD")
    except RequestError:  # no checkout, or no git
        pass
    return None


def _sources(plan: Plan) -> Iterator[Path]:
    for name in OURS:
        yield from (ROOT / name).rglob("*.py")
    schemes = dict.fromkeys(cell.arch.partition(":") for cell in plan.cells)
    for module, separator, _ in schemes:
        if separator and module != LIBRARY:
            yield from _of_module(module.partition(".")[0])


def _of_module(name: str) -> Iterator[Path]:
    """The sources of a top-level module, looked for where workers do, without importing it."""
    given = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    folders = [str(Path.cwd()), str(ROOT), *filter(None, given), *sys.path]
    try:
        spec = PathFinder.find_spec(name, folders) or importlib.util.find_spec(name)
    except (ImportError, ValueError):
        spec = None
    if spec is None:
        return  # a worker will say so
    if spec.submodule_search_locations is not None:
        for folder in spec.submodule_search_locations:
            yield from Path(folder).rglob("*.py")
    elif spec.origin:
        yield from Path(spec.origin).parent.glob("*.py")
