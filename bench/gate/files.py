"""The files that a gate writes into a report folder, beside the run file."""

from collections.abc import Mapping
from pathlib import Path

from bench import atomic
from bench.gate import report
from bench.gate.decision import Gate
from bench.records import store
from bench.report import files
from bench.report.files import RUN_FILE

MARKDOWN, VERDICTS = "gate.md", "gate.json"


def names() -> frozenset[str]:
    """Return the path of every file that a gate may replace."""
    return frozenset({RUN_FILE, MARKDOWN, VERDICTS})


def marks() -> Mapping[str, str]:
    """Return text that some of these files contain and files of other programs do not."""
    return {**files.marks(), MARKDOWN: report.TITLE}


def write_all(gate: Gate, folder: Path) -> tuple[Path, ...]:
    """Write the run file, the Markdown and the verdict file; return their paths.

    They are written together or not at all, as ``write_files`` does.
    """
    run_file = {RUN_FILE: store.text(gate.run_with_settings)}
    return atomic.write_files(folder, {**run_file, **_contents(gate)})


def write(gate: Gate, folder: Path) -> tuple[Path, ...]:
    """Write the Markdown and the verdict file, together or not at all; return their paths."""
    return atomic.write_files(folder, _contents(gate))


def _contents(gate: Gate) -> dict[str, str]:
    return {MARKDOWN: report.render(gate), VERDICTS: report.as_json(gate)}
