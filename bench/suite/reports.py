"""The files that a pytest session writes: run file and reports, wherever there is room."""

import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from bench.api.report_folder import ReportFolder
from bench.exits import Exit
from bench.records import journal
from bench.records.record import RunRecord
from bench.report import files, frame


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """The files that a session wrote."""

    paths: tuple[Path, ...]
    error: str = ""
    """Why they are in another folder than the one that was asked for; empty if they are not."""


def write(
    report_folder: ReportFolder, run: RunRecord, write_all: Callable[[Path], tuple[Path, ...]]
) -> Written:
    """Write a run's files to its report folder, or if it has no room, to a temporary folder.

    Then remove the journal, unless the run can be resumed. Ends the session with exit code 2 and a
    message if the files cannot be written to either.
    """
    folder = report_folder.of(run.environment)
    try:
        written = Written(paths=write_all(folder))
    except OSError as error:  # a full disk, for example: save the measurements elsewhere
        written = _write_elsewhere(write_all, folder, error)
    except Exception as error:  # noqa: BLE001 - for example in a chart library; the run file exists
        run_file = folder / files.RUN_FILE
        pytest.exit(
            f"cannot write the reports: {type(error).__name__}: {error}; the measurements are in "
            f"{run_file}: run `googlenet-bench report {run_file}` to write the reports from it",
            returncode=Exit.WRONG_REQUEST,
        )
    if not run.can_be_resumed or report_folder.is_gate:  # a gate cannot be resumed
        (folder / journal.FILE).unlink(missing_ok=True)
    if written.error:
        with suppress(OSError):  # it has earlier files
            folder.rmdir()
    return written


def why_no_figures(report_folder: ReportFolder, run: RunRecord) -> str:
    """Say why a run has no figures, and where its journal is."""
    why = "; ".join(dict.fromkeys(frame.failures(run)["reason"]))
    if not run.is_empty:
        return f"no cell has a figure: {why}"
    folder = report_folder.of(run.environment)
    path = folder / journal.FILE
    hint = (
        f"; {path} has the voided rounds, and --resume continues the run" if path.exists() else ""
    )
    return f"no cell has a figure: {why}; the reports in {folder} are unchanged{hint}"


def _write_elsewhere(
    write_all: Callable[[Path], tuple[Path, ...]], folder: Path, reason: OSError
) -> Written:
    """Write the files to a temporary folder, because ``folder`` has no room for them."""
    try:
        temporary = Path(tempfile.mkdtemp(prefix="googlenet-bench-"))
        paths = write_all(temporary)
    except OSError:
        pytest.exit(
            f"cannot write the reports to {folder}, nor to {tempfile.gettempdir()}: "
            f"{reason.strerror}; the measurements are in {folder / journal.FILE}: make room on the "
            "disk, then continue with --resume",
            returncode=Exit.WRONG_REQUEST,
        )
    return Written(
        paths=paths,
        error=(
            f"cannot write the reports to {folder}: {reason.strerror}; they are in {temporary}: "
            "move them to a disk that has room"
        ),
    )
