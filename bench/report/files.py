"""The report's files: what lies in a report folder beside the run file."""

from pathlib import Path

from bench import store
from bench.record import RunRecord
from bench.report import frame, markdown
from bench.report.tables import csv_safe
from bench.store import write_text

RUN_FILE = "run.json"


def write_all(run: RunRecord, folder: Path) -> tuple[Path, ...]:
    """Write the run file, and every report beside it."""
    store.write(run, folder / RUN_FILE)
    return (folder / RUN_FILE, *write(run, folder))


def write(run: RunRecord, folder: Path) -> tuple[Path, ...]:
    """Write ``report.md``, ``summary.csv`` and ``samples.csv``, each whole or not at all."""
    contents = {
        "report.md": markdown.render(run),
        "summary.csv": csv_safe(frame.summary(run)).to_csv(index=False),
        "samples.csv": csv_safe(frame.samples(run)).to_csv(index=False),
    }
    for name, content in contents.items():
        write_text(folder / name, content)
    return tuple(folder / name for name in contents)
