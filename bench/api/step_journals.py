"""The journals of a choice's steps: an interrupted choice continues from them.

Each step has a journal of its own, in a folder of the report folder. A step follows from those
before it, so a resumed choice goes through all of them again, and what is in their journals is not
measured a second time.
"""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from bench.api.report_folder import ReportFolder
from bench.engine.progress import Progress
from bench.errors import RequestError
from bench.records import journal, recovery
from bench.records.outcome import Outcome

FOLDER = "journals"


@dataclass(frozen=True, slots=True, kw_only=True)
class StepJournals:
    """Where the journals of a choice are, and whether to continue from them."""

    report_dir: Path | None
    """The report folder; None if nothing is written."""
    resume: bool
    """Whether to continue the choice that was interrupted."""

    def folder(self, step: int) -> ReportFolder | None:
        """Return the folder of a step's journal; None if there are no journals."""
        if self.report_dir is None:
            return None
        chosen = self.report_dir / FOLDER / f"step-{step}"
        return ReportFolder(chosen=chosen, root=self.report_dir)

    def begin(self, first_step: int, progress: Progress) -> None:
        """Set the journals of an earlier choice aside, unless this one continues from them.

        Raises ``RequestError`` if there is nothing to continue from, or if another choice is being
        made in this folder.
        """
        if self.resume:
            first = self._path(first_step)
            if first is None:
                raise RequestError(
                    "--resume needs --report-dir, the folder of the interrupted choice"
                )
            if not first.exists():
                raise RequestError(f"nothing to resume: {first} does not exist")
            return
        renamed = [journal.set_aside(path) for path in self.files]
        if any(renamed):
            progress.note(
                "an earlier choice was interrupted or not saved; its journals were renamed, in "
                f"{self.report_dir}/{FOLDER}"
            )

    def has(self, step: int) -> bool:
        """Whether to continue from a journal of this step."""
        path = self._path(step)
        return self.resume and path is not None and not journal.is_empty(path)

    def read(self, step: int, progress: Progress) -> Outcome | None:
        """Return the outcome of a step so far; None if there is none to continue from."""
        path = self._path(step)
        return recovery.resumable(path, progress.note) if path and self.has(step) else None

    @property
    def files(self) -> tuple[Path, ...]:
        """The journals that are there, by step."""
        if self.report_dir is None:
            return ()
        return tuple(sorted(self.report_dir.glob(f"{FOLDER}/step-*/{journal.FILE}")))

    def delete(self) -> None:
        """Delete the journals of a choice whose result is written, and their folders if empty."""
        for path in self.files:
            path.unlink(missing_ok=True)
            with suppress(OSError):  # it has something else, such as the journals of earlier ones
                path.parent.rmdir()
                path.parent.parent.rmdir()

    def _path(self, step: int) -> Path | None:
        folder = self.folder(step)
        return None if folder is None or folder.chosen is None else folder.chosen / journal.FILE
