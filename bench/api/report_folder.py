"""The report folder, to which a run's files are written."""

from dataclasses import dataclass
from pathlib import Path

from bench.errors import RequestError
from bench.folders import check_writable
from bench.gate import files as gate_files
from bench.machine import environment
from bench.machine.environment import Environment
from bench.records import journal
from bench.report import files

REPORTS = "reports"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportFolder:
    """The folder that the user chose, or else one for each machine."""

    chosen: Path | None
    root: Path
    """The project's folder, below which each machine has a folder of its own."""
    is_gate: bool = False

    def of(self, about: Environment) -> Path:
        """Return the folder of a run on the machine whose workers have this environment."""
        if self.chosen is not None:
            return self.chosen
        folder = self.root / REPORTS / environment.machine_slug(about)
        return folder / "gate" if self.is_gate else folder

    def check(self) -> None:
        """Check the chosen folder before anything is measured.

        Raises ``RequestError`` if it is not writable, or if it has files that a run would replace
        and did not write.
        """
        if self.chosen is not None:
            check_writable(self.chosen)
            writer = gate_files if self.is_gate else files
            files.check_replaceable(self.chosen, writer.names(), writer.marks())

    def interrupted_journal(self) -> Path:
        """Return the journal of the interrupted run.

        Raises ``RequestError`` if there is none, or if there are several.
        """
        if self.chosen is not None:
            path = self.chosen / journal.FILE
            if path.exists():
                return path
            raise RequestError(f"nothing to resume: {path} does not exist")
        pattern = f"{REPORTS}/*/{journal.FILE}"
        paths = sorted(self.root.glob(pattern))
        if len(paths) == 1:
            return paths[0]
        if not paths:
            raise RequestError(f"nothing to resume: no file matches {pattern}")
        raise RequestError(
            "more than one run was interrupted; choose one by its folder with --report-dir: "
            + ", ".join(str(path.parent) for path in paths)
        )
