"""The history of a project: where it is, and which files can be added to it."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from bench import pyproject
from bench.api import project
from bench.errors import RequestError
from bench.history import from_pytest_benchmark, from_run
from bench.history.entry import Entry
from bench.optional import missing
from bench.pyproject import FILE
from bench.records import journal, pytest_benchmark
from bench.records import store as run_files
from bench.report.files import RUN_FILE

if TYPE_CHECKING:
    from bench.history.store import Store

EXTRA = "history"
DEFAULT = Path(".googlenet-bench") / "history.db"
"""The file in the root of the project, as caches of other tools are."""
DEFAULT_PLACE = f"history of {pyproject.heading()} in {FILE}, or else {DEFAULT} of the project"


def open_history(chosen: str | None, current: Path, *, create: bool = False) -> "Store":
    """Return the history at a path or URL, or by default that of the project of a folder.

    With ``create``, make it if there is none. Raises ``RequestError`` if it cannot be used.
    """
    if absent := missing("a history", ["sqlalchemy"], EXTRA):
        raise RequestError(absent)
    from bench.history.store import open_store

    where = chosen or place(current)
    if create and chosen is None and Path(where).name == DEFAULT.name:
        _make_ignored(Path(where).parent)
    return open_store(where, create=create)


def place(current: Path) -> str:
    """Return the path or URL of the history of a folder's project."""
    root = pyproject.root(current)
    configured = project.read(root).history
    if configured is not None and "://" in configured:
        return configured
    return str(root / (configured or DEFAULT))


def read_entry(path: Path) -> Entry:
    """Return what a history stores of a file, which may be of another project.

    ``path``: a run file, a folder with one, or a JSON file of pytest-benchmark. Raises
    ``RequestError`` if it is neither, or if it is damaged.
    """
    if path.suffix == journal.SUFFIX:
        raise RequestError(
            f"{path} is the journal of a run that was cut off: finish the run with --resume, and "
            "add its run file"
        )
    inside = path / RUN_FILE
    file = inside if inside.is_file() else path
    other = pytest_benchmark.read(file)
    make = (
        partial(from_run.entry, run_files.read(file))
        if other is None
        else partial(from_pytest_benchmark.entry, other)
    )
    try:
        return make()
    except RequestError as error:
        raise RequestError(f"{file}: {error}") from error


def _make_ignored(folder: Path) -> None:
    """Make the folder of the default file, which git ignores, if there is none."""
    try:
        folder.mkdir(exist_ok=True)
        ignore = folder / ".gitignore"
        if not ignore.exists():
            ignore.write_text("*\n", encoding="utf-8")
    except OSError as error:
        raise RequestError(f"cannot make the folder {folder}: {error.strerror}") from error
