"""The two sides of a gate: whose code is measured, by which interpreter. Ours measures both."""

import os
import sys
import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.engine.launch import ROOT, Launcher, launcher
from bench.gate import tree
from bench.gate.tree import Tree
from bench.names import RequestError
from bench.worker.origin import VARIABLE


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """A source tree and an interpreter."""

    tree: Tree
    python: str

    @property
    def name(self) -> str:
        """What a reader knows it by: the commit, and the interpreter where it is not ours."""
        interpreter = "" if self.python == sys.executable else f", {self.python}"
        return f"{self.tree.name}{interpreter}"


@contextmanager
def check_out(
    folder: Path, *, base: str | None, base_python: str | None
) -> Iterator[tuple[Side, Side]]:
    """Head and base, while they are needed: ``folder``'s tree with all its changes, and another's.

    Where no revision is given the base has head's code, and where no interpreter is, head's.
    Raises ``RequestError`` where there is no such revision or interpreter.
    """
    head = Side(tree=tree.here(folder), python=sys.executable)
    python = head.python if base_python is None else _interpreter(base_python)
    if base is None:
        yield head, Side(tree=head.tree, python=python)
        return
    with tree.checkout(base, head.tree.root) as theirs:
        yield head, Side(tree=theirs, python=python)


@contextmanager
def launchers(
    found: Sequence[Side],
    variables: Mapping[str, str],
    imports: Sequence[str],
    cpus: Collection[int] | None,
) -> Iterator[tuple[Launcher, ...]]:
    """What starts the workers of each side, all of them ready to import at the same time."""
    with ExitStack() as closing:
        ours = Path(closing.enter_context(tempfile.TemporaryDirectory(prefix="googlenet-bench-")))
        # Of a tree that has a bench of its own just the networks are wanted.
        (ours / "bench").symlink_to(ROOT / "bench")
        safe = {**variables, "PYTHONSAFEPATH": "1"}  # not from the current folder
        started = []
        for side in found:
            others = [other.tree.root for other in found if other.tree.root != side.tree.root]
            not_from = {VARIABLE: str(others[0])} if others else {}
            roots = _roots(ours, side.tree)
            one = launcher({**safe, **not_from}, imports, cpus, python=side.python, roots=roots)
            started.append(closing.enter_context(one))
        yield tuple(started)


def _roots(ours: Path, of: Tree) -> tuple[Path, ...]:
    """Where modules are looked for: our bench, and then the tree, laid out flat or under src."""
    return (ours, of.root, *(folder for folder in (of.root / "src",) if folder.is_dir()))


def _interpreter(given: str) -> str:
    path = Path(given)
    if not (path.is_file() and os.access(path, os.X_OK)):
        raise RequestError(f"--base-python {given} is no interpreter: there is no such program")
    return str(path.absolute())  # not resolved: a virtual environment's is a link
