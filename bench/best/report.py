"""The result of a tournament as a table, as CSV and as Markdown."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from bench import tables
from bench.atomic import write_files
from bench.best.candidate import Candidate
from bench.best.decision import BEST, MOST_LIKELY, Result
from bench.columns import Column, bounded, filled, milliseconds, scaled
from bench.report.formats.markdown import fenced

CSV, MARKDOWN = "best.csv", "best.md"
TITLE = "# The fastest way to run a network (`googlenet-bench best`)"
COLUMNS = (
    Column(name="mode", heading="mode", is_text=True),
    Column(name="dtype", heading="dtype", is_text=True),
    Column(name="batch_size", heading="batch", rank=1),
    Column(name="speedup_over_eager", heading="× eager", write=scaled(1, 2), bounded=True),
    Column(name="latency_s", heading="latency ms", write=milliseconds, bounded=True, rank=3),
    Column(name="error", heading="error", write="{:.1e}".format, rank=2),
    Column(name="verdict", heading="verdict", is_text=True, wraps=True),
)


def frame(result: Result) -> pd.DataFrame:
    """Return one row per candidate: at each batch size the winner, the finalists, and the rest.

    Within these, the fastest come first.
    """
    ordered = sorted(result.candidates, key=_order)
    return pd.DataFrame([_row(each) for each in ordered], dtype=object)


def _order(candidate: Candidate) -> tuple[int, bool, int, bool, float]:
    step = candidate.dropped.step if candidate.dropped else 0
    return (
        candidate.cell.batch_size,
        candidate.dropped is not None,
        -step,
        candidate.verdict not in {BEST, MOST_LIKELY},
        -candidate.estimate,
    )


def _row(candidate: Candidate) -> dict[str, Any]:
    cell, speedup, latency = candidate.cell, candidate.speedup, candidate.latency
    return {
        "arch": cell.arch,
        "mode": cell.mode,
        "dtype": cell.dtype,
        "batch_size": cell.batch_size,
        "device": cell.device,
        **(bounded("speedup_over_eager", speedup) if speedup else {}),
        **(bounded("latency_s", latency) if latency else {}),
        "error": candidate.error,
        "verdict": candidate.verdict,
    }


def sentences(result: Result) -> tuple[str, ...]:
    """Return the sentences on the result: notes first, then the winner of each batch size."""
    return (*result.notes, *(text for each in result.decisions for text in each.sentences))


def markdown(result: Result, programs: Mapping[int, str]) -> str:
    """Return the result as Markdown: the sentences, the table, and the programs."""
    rows = frame(result)
    parts = [
        TITLE,
        *map(tables.escaped, sentences(result)),
        tables.as_markdown(filled(COLUMNS, rows), rows),
    ]
    for batch_size, text in programs.items():
        parts += [f"## The program for batch {batch_size}", fenced(text.rstrip(), "python")]
    return "\n\n".join(parts) + "\n"


def write(result: Result, programs: Mapping[int, str], folder: Path) -> tuple[Path, ...]:
    """Write ``best.csv`` and ``best.md`` to a folder, and return their paths."""
    contents = {
        CSV: tables.as_csv(COLUMNS, frame(result)) + "\n",
        MARKDOWN: markdown(result, programs),
    }
    return write_files(folder, contents)
