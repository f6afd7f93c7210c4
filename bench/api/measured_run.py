"""A measured run that shows itself: in a terminal, in a notebook, and to pandas."""

import html
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd
from rich.console import Console, ConsoleOptions, RenderableType
from rich.text import Text

from bench import paths, stats
from bench.columns import IN_FULL, Column, filled
from bench.errors import RequestError
from bench.gate import files as gate_files
from bench.gate import report
from bench.gate.decision import Gate
from bench.means import CONFIDENCE, Interval
from bench.names import choose
from bench.records import journal, recovery, store
from bench.records.record import CellRecord, RunRecord
from bench.report import files, frame, opening, summary
from bench.report.formats import terminal
from bench.tables import as_html, fitted, terminal_console
from bench.trust import wording

Titled = tuple[str, tuple[Column, ...], pd.DataFrame]
"""A table to show: title, columns and rows."""


@dataclass(frozen=True, kw_only=True, repr=False)
class MeasuredRun:
    """The result of ``measure`` or ``load``; printing it shows its tables."""

    record: RunRecord
    """Everything that was measured."""
    journal_file: Path | None = None
    """The run's journal, which is removed when the run has been saved."""

    @cached_property
    def gate(self) -> Gate | None:
        """The verdicts, if the run is a gate's."""
        return None if self.record.gate is None else Gate.from_run(self.record)

    def to_pandas(self) -> pd.DataFrame:
        """Return one row per cell, with the columns of summary.csv; their names contain units."""
        return frame.summary(self.record).copy()

    def ratio(self, a: str, b: str, *, confidence: float = CONFIDENCE) -> Interval:
        """Return the speedup of cell ``a`` over cell ``b``: above 1, ``a`` is faster.

        A cell is named by its id, such as ``googlenet/eager/fp32/b1/infer/cpu``, or by a beginning
        that no other cell has, such as ``googlenet/eager`` or ``googlenet``. Raises
        ``RequestError`` if a name is unknown or ambiguous, if a cell has no figures, or if the two
        differ in dtype, batch size, task or device: such cells are not measured in the same rounds.
        """
        cell, other = self._measured(a), self._measured(b)
        group = cell.cell.group
        if other.cell.group != group:
            raise RequestError(
                f"{cell.cell.id} and {other.cell.id} were not measured in the same rounds: a ratio "
                "needs two cells of the same dtype, batch size, task and device"
            )
        return stats.speedup(cell, other, confidence, reference=self.record.reference(group))

    def save(self, folder: Path | str) -> tuple[Path, ...]:
        """Write the run file and the reports, and return their paths.

        Then remove the journal, unless the run can be resumed; a gate cannot. Raises
        ``RequestError`` if the folder has such files that no run wrote, or if there is nothing to
        save, and ``OSError`` if the folder cannot be written.
        """
        folder = paths.usable(folder)
        if self.record.is_empty:
            raise RequestError(f"there is nothing to save: the run is {_status(self.record)}")
        if self.gate is None:
            files.check_replaceable(folder)
            written = files.write_all(self.record, folder)
        else:
            files.check_replaceable(folder, gate_files.names(), gate_files.marks())
            written = gate_files.write_all(self.gate, folder)
        is_over = self.gate is not None or not self.record.can_be_resumed
        if self.journal_file is not None and is_over:
            self.journal_file.unlink(missing_ok=True)
        return written

    def __rich_console__(
        self, console: Console, _options: ConsoleOptions
    ) -> Iterator[RenderableType]:
        """Yield the tables of the terminal, and sentences on how far to trust them."""
        yield from renderables(self.record, self.gate, console)
        yield from map(Text, self._sentences())

    def __str__(self) -> str:
        """Return the tables as plain text, as wide as the terminal."""
        file = io.StringIO()
        console = Console(file=file, width=terminal_console().width, color_system=None)
        console.print(self)
        return file.getvalue().rstrip("\n")

    __repr__ = __str__

    def _repr_html_(self) -> str:
        """Return the run as HTML, for a notebook: its opening, the ratios and its tables."""
        shown = [
            as_html(tuple(each for each in columns if each.rank < IN_FULL), rows, title)
            for title, columns, rows in tables(self.record, self.gate)
        ]
        sentences = (f"<p>{html.escape(sentence)}</p>" for sentence in self._sentences())
        return "\n".join([*self._opening(), *shown, *sentences])

    def _opening(self) -> Iterator[str]:
        """Yield the opening and the ratios of the report as HTML; a gate has neither."""
        if self.gate is not None:
            return
        from bench.report.charts import ratios  # altair takes a while to import
        from bench.report.page import still

        yield f"<h3>{html.escape(opening.title(self.record))}</h3>"
        for sentence in opening.lead(self.record):
            yield f"<p>{html.escape(sentence)}</p>"
        yield from map(still.image, ratios.charts(self.record))

    def _sentences(self) -> Iterator[str]:
        yield from warnings(self.record, self.gate)
        for cell, reason in frame.failures(self.record)[["cell", "reason"]].itertuples(index=False):
            yield f"{cell} has no figures: {reason}"

    def _measured(self, name: str) -> CellRecord:
        """Return the record with figures of the cell that ``name`` names."""
        by_id = {record.cell.id: record for record in self.record.cells}
        record = by_id[name] if name in by_id else choose("cell", _completed(name, by_id), by_id)
        if not record.has_figures:
            why = record.failure.message if record.failure else f"the run is {_status(self.record)}"
            raise RequestError(f"{record.cell.id} has no figures: {why}")
        return record


def load(path: Path | str) -> MeasuredRun:
    """Return the run of a run file, of a folder with one, or of an interrupted run's journal.

    Raises ``RequestError`` if the file cannot be read or is not a run's.
    """
    path = paths.usable(path)
    inside = path / files.RUN_FILE
    return MeasuredRun(record=read(inside if inside.is_file() else path))


def read(path: Path) -> RunRecord:
    """Return the run of a run file, or the part of a run that a journal has.

    A note says where a journal is damaged: only what stands before that line is read.
    """
    if path.suffix != journal.SUFFIX:
        return store.read(path)
    return recovery.with_note(path).run_record()


def tables(run: RunRecord, gate: Gate | None = None) -> Iterator[Titled]:
    """Yield the tables to show of a run: one per group, or with ``gate`` that of its verdicts."""
    if gate is not None:
        rows = report.frame(gate)
        title = f"{gate.sides.head} against {gate.sides.base}: {report.headline(gate)}"
        yield title, filled(report.COLUMNS, rows), rows
        return
    for title, rows in summary.groups(frame.summary(run)):
        yield title, summary.shown_columns(run, rows), rows


def renderables(run: RunRecord, gate: Gate | None, console: Console) -> Iterator[RenderableType]:
    """Yield what a terminal shows of a run or of a gate."""
    if gate is None:
        yield from terminal.printed(run, console)
        return
    for title, columns, rows in tables(run, gate):
        yield fitted(console, columns, rows, title)


def warnings(run: RunRecord, gate: Gate | None = None) -> Iterator[str]:
    """Yield sentences on how far to trust the tables."""
    for note in run.notes:
        if note.endswith(recovery.READ_IN_PART):
            yield f"Warning: {note}"
    for sentence in wording.warnings(run) if gate is None else report.notes(gate):
        yield f"Warning: {sentence}"
    if run.status != "complete":
        yield f"Partial: {run.why_ended or f'the run is {_status(run)}.'}"


def _status(run: RunRecord) -> str:
    return run.status.replace("_", " ")


def _completed(name: str, ids: Iterable[str]) -> str:
    """Return the only id that begins with a name, or the name if none does.

    Complete parts are preferred: ``googlenet`` is not the beginning of ``googlenet-3x3/eager``.
    """
    beginnings = (f"{name}/", name) if name else ()
    for beginning in beginnings:
        candidates = [cell for cell in ids if cell.startswith(beginning)]
        if len(candidates) > 1:
            raise RequestError(
                f"{name!r} is the beginning of several cells: {', '.join(candidates)}"
            )
        if candidates:
            return candidates[0]
    return name
