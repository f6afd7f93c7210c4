"""Names that Python files define, read without running them.

A misspelt name can so be refused at once, and not by a worker that has imported torch.
"""

import ast
import warnings
from collections.abc import Iterator, Sequence
from contextlib import suppress
from importlib.machinery import PathFinder
from importlib.util import find_spec
from pathlib import Path

from bench.archs import source_file

# A file that uses one of these may define a name that is nowhere in its text.
_DYNAMIC = frozenset({"__getattr__", "exec", "globals", "locals", "setattr", "vars"})


def files(module: str) -> list[Path]:
    """Return the files that may be meant by a module or a path, wherever a run or a gate looks.

    No package is imported. More than one may be found, because a gate also looks in the folders
    above the current one. Empty if there is none, or if it is not a file of Python's source.
    """
    folders = (Path.cwd(), *Path.cwd().parents)
    roots = [root for folder in folders for root in (folder, folder / "src")]
    if source_file.is_path(module):
        return [root / module for root in roots if (root / module).is_file()]
    top, *inner = module.split(".")
    return list(_modules(_places(top, roots), inner))


def is_nowhere(module: str) -> bool:
    """Whether there is no such file, or no module or package of the first part of the name."""
    if source_file.is_path(module):
        return not files(module)
    top = module.partition(".")[0]
    with suppress(ImportError, ValueError):
        if find_spec(top) is not None:
            return False
    return not files(top)


def defined(file: Path) -> frozenset[str] | None:
    """Return every name that a file may define; None if its text does not tell.

    Names inside functions and classes are among them: it matters which names are in no place.
    """
    tree = _parsed(file)
    if tree is None:
        return None
    names = frozenset(name for node in ast.walk(tree) for name in _names(node))
    return None if names & {*_DYNAMIC, "*"} else names


def callables(file: Path) -> tuple[str, ...]:
    """Return the public functions and classes at the top level of a file."""
    tree = _parsed(file)
    kinds = (ast.FunctionDef, ast.ClassDef)
    found = (node.name for node in (tree.body if tree else ()) if isinstance(node, kinds))
    return tuple(name for name in found if not name.startswith("_"))


def _parsed(file: Path) -> ast.Module | None:
    """Return the syntax tree of a file; None if it has none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about the user's code, which is not run here
        try:
            return ast.parse(file.read_bytes())
        except (OSError, SyntaxError, ValueError, RecursionError):
            return None


def _names(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            yield node.name
        case ast.Name() if isinstance(node.ctx, ast.Store) or node.id in _DYNAMIC:
            yield node.id
        case ast.alias():
            yield node.asname or node.name.partition(".")[0]


def _places(top: str, roots: Sequence[Path]) -> Iterator[Path]:
    """Yield the files of a top-level module or package, as an import and as a gate finds them."""
    specs = [PathFinder.find_spec(top, [str(root)]) for root in roots]
    with suppress(ImportError, ValueError):  # for example of __main__, which is no file
        specs.append(find_spec(top))
    for spec in filter(None, specs):
        if spec.origin is not None and source_file.is_path(spec.origin):
            yield Path(spec.origin)
        for folder in spec.submodule_search_locations or ():
            yield Path(folder) / "__init__.py"


def _modules(tops: Iterator[Path], inner: Sequence[str]) -> Iterator[Path]:
    """Yield the files of a module from those of its outermost package."""
    for top in dict.fromkeys(tops):
        if not inner:
            candidates = [top]
        else:
            path = top.parent.joinpath(*inner)
            candidates = [path.with_suffix(source_file.SUFFIX), path / "__init__.py"]
        yield from (each for each in candidates if each.is_file())
