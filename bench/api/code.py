"""The source code that a run measures: its commit and a digest of its files.

The digest covers Python sources only, not every file that git tracks: a README, or the report of an
interrupted run, may change before the run is resumed.
"""

import hashlib
import importlib.util
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from importlib.machinery import PathFinder
from itertools import chain
from pathlib import Path

from bench import archs, git, registry
from bench.archs import source_file
from bench.cells.plan import Plan
from bench.errors import RequestError
from bench.gate.checkouts import file_roots
from bench.gate.tree import Tree
from bench.launch.launchers import ROOT
from bench.records.code import Code

OWN, NETWORKS = "bench", "googlenet"


def current(plan: Plan) -> Code:
    """Return the code of this project and of the modules that hold the plan's factories.

    Files beside those modules are included; modules that they import from elsewhere are not.
    """
    return Code(commit=_commit(), digest=_digest(_sources(plan, source_file.roots(), ROOT)))


def of_side(plan: Plan, tree: Tree, below: Path) -> Code:
    """Return the code of one side of a gate: this project's ``bench``, and the tree's networks.

    Relative files are looked up in the folder ``below`` the tree's root first.
    """
    roots = file_roots(tree, below)
    networks = next((root for root in roots if (root / NETWORKS).is_dir()), ROOT)
    return Code(commit=tree.commit, digest=_digest(_sources(plan, roots, networks)))


def _digest(paths: Iterable[Path]) -> str:
    """Return the digest of files in this order, whichever folder they are in."""
    digest = hashlib.sha256()
    for path in filter(Path.is_file, dict.fromkeys(paths)):
        content = path.read_bytes()
        digest.update(f"{path.name}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()


def _commit() -> str | None:
    try:
        if git.top(ROOT) == ROOT:  # not the repository of a project that installed this
            return git.text(ROOT, "rev-parse", "HEAD")
    except RequestError:  # no checkout, or no git
        pass
    return None


def _sources(plan: Plan, roots: Sequence[Path], networks: Path) -> Iterator[Path]:
    """Yield the sources, in an order that does not depend on where the folders are.

    ``roots``: folders in which workers look for modules first. ``networks``: the folder that has
    the package ``googlenet``.
    """
    yield from sorted((ROOT / OWN).rglob("*.py"))
    yield from sorted((networks / NETWORKS).rglob("*.py"))
    yield from sorted(registry.plugin_files())
    code = [archs.find(cell.arch).code for cell in plan.cells]
    for module in dict.fromkeys(chain.from_iterable(code)):
        yield from sorted(_module_sources(module, roots))


def _module_sources(name: str, roots: Sequence[Path]) -> Iterator[Path]:
    """Yield the sources of a top-level module, or of a file's folder, without importing any.

    The search path is that of the workers.
    """
    if source_file.is_path(name):
        if path := source_file.find(name, roots):  # a worker reports a missing one
            yield from path.parent.glob("*.py")
        return
    python_path = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    folders = [*map(str, (*roots, ROOT)), *filter(None, python_path), *sys.path]
    try:
        spec = PathFinder.find_spec(name, folders) or importlib.util.find_spec(name)
    except (ImportError, ValueError):
        spec = None
    if spec is None:
        return  # a worker reports it
    if spec.submodule_search_locations is not None:
        for folder in spec.submodule_search_locations:
            yield from Path(folder).rglob("*.py")
    elif spec.origin:
        yield from Path(spec.origin).parent.glob("*.py")
