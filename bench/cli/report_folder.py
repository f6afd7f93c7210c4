"""The folder of a command that decides: its own table and page, and the reports of its run."""

from collections.abc import Callable
from pathlib import Path

from bench.errors import RequestError
from bench.folders import check_writable
from bench.records.record import RunRecord


def check(folder: Path, *, table: str, page: str, title: str) -> None:
    """Raise ``RequestError`` if the folder is not writable, or has files of somebody else.

    ``table`` and ``page`` are the names of the command's own files; ``title`` begins its page.
    """
    from bench.report import files

    check_writable(folder)
    names = files.names() | {table, page}
    files.check_replaceable(folder, names, {**files.marks(), page: title})


def write(
    own: Callable[[Path], tuple[Path, ...]], run: RunRecord | None, folder: Path
) -> tuple[Path, ...]:
    """Write what ``own`` writes, and the reports of a run if it has figures; return the paths.

    Raises ``RequestError`` if that fails.
    """
    from bench.api.measured_run import MeasuredRun

    try:
        written = own(folder)
        if run is None or run.is_empty:
            return written
        return (*written, *MeasuredRun(record=run).save(folder))
    except OSError as error:
        raise RequestError(f"cannot write to {folder}: {error.strerror}") from error
