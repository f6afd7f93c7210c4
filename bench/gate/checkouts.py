"""The two sides of a gate: source tree and interpreter of each.

The ``bench`` of this process measures both.
"""

import os
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.archs import source_file
from bench.errors import RequestError
from bench.gate import tree
from bench.gate.tree import Tree
from bench.launch.launchers import Launcher, launcher
from bench.worker import origin


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """A source tree and an interpreter."""

    tree: Tree
    python: str

    @property
    def name(self) -> str:
        """The commit, and the interpreter if it is not the current one."""
        interpreter = "" if self.python == sys.executable else f", {self.python}"
        return f"{self.tree.name}{interpreter}"


def check(folder: Path, *, base: str | None, base_python: str | None) -> None:
    """Raise the errors of ``check_out``, without checking anything out."""
    root = tree.here(folder).root
    if base_python is not None:
        _interpreter(base_python)
    if base is not None:
        tree.commit_of(base, root)


@contextmanager
def check_out(
    folder: Path, *, base: str | None, base_python: str | None
) -> Iterator[tuple[Side, Side]]:
    """Yield head and base; remove the base's checkout afterwards.

    Head is ``folder``'s tree with its uncommitted changes. Without ``base`` both sides have head's
    code; without ``base_python`` both have the current interpreter. Raises ``RequestError`` if the
    revision or the interpreter does not exist.
    """
    head = Side(tree=tree.here(folder), python=sys.executable)
    python = head.python if base_python is None else _interpreter(base_python)
    if base is None:
        yield head, Side(tree=head.tree, python=python)
        return
    with tree.checkout(base, head.tree.root) as base_tree:
        yield head, Side(tree=base_tree, python=python)


@contextmanager
def launchers(
    sides: Sequence[Side],
    variables: Mapping[str, str],
    imports: Sequence[str],
    cpus: Collection[int] | None,
    below: Path,
) -> Iterator[tuple[Launcher, ...]]:
    """Start a launcher of workers per side; all of them can import at the same time.

    Relative files of networks are looked up in the folder ``below`` each tree's root first.
    """
    with ExitStack() as closing:
        safe = {**variables, "PYTHONSAFEPATH": "1"}  # no imports from the current folder
        started = []
        for side in sides:
            other_roots = [other.tree.root for other in sides if other.tree.root != side.tree.root]
            forbidden = {origin.VARIABLE: str(other_roots[0])} if other_roots else {}
            roots = os.pathsep.join(map(str, file_roots(side.tree, below)))
            files = {source_file.VARIABLE: roots}
            manager = launcher(
                {**safe, **forbidden, **files},
                imports,
                cpus,
                python=side.python,
                roots=_roots(side.tree),
            )
            started.append(closing.enter_context(manager))
        yield tuple(started)


def file_roots(tree: Tree, below: Path) -> tuple[Path, ...]:
    """Return the folders in which relative files of networks are looked up: ``below`` first."""
    return tuple(dict.fromkeys((tree.root / below, *_roots(tree))))


def _roots(tree: Tree) -> tuple[Path, ...]:
    """Return the import paths of the tree, with a flat or src layout.

    A tree may have a bench of its own; only its networks are used (bench/launch/run_module.py).
    """
    return (tree.root, *(folder for folder in (tree.root / "src",) if folder.is_dir()))


def _interpreter(name: str) -> str:
    path = Path(name)
    if not (path.is_file() and os.access(path, os.X_OK)):
        raise RequestError(f"--base-python {name} is not an interpreter: no such executable file")
    return str(path.absolute())  # not resolved: a virtual environment's interpreter is a link
