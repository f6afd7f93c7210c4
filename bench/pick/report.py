"""The result of a choice as a table, as CSV and as Markdown."""

from pathlib import Path
from typing import Any

import pandas as pd

from bench import tables
from bench.atomic import write_files
from bench.columns import IN_FULL, Column, filled, milliseconds, scaled
from bench.pick.candidate import Candidate
from bench.pick.choice import Choice
from bench.units import MIB

CSV, MARKDOWN = "pick.csv", "pick.md"
TITLE = "# Choice of a network (`googlenet-bench pick`)"
COLUMNS = (
    Column(name="arch", heading="network", is_text=True),
    Column(name="mode", heading="mode", is_text=True),
    Column(name="batch_size", heading="batch", rank=4),
    Column(name="accuracy", heading="accuracy %", write="{:.1f}".format),
    Column(name="latency_s", heading="latency ms", write=milliseconds, bounded=True),
    Column(name="gmacs", heading="GMACs", write="{:.3g}".format, rank=2),
    Column(
        name="params",
        heading="params M",
        write=lambda params: f"{params / 1e6:.3g}",
        rank=3,
    ),
    Column(name="peak_memory_bytes", heading="memory MiB", write=scaled(1 / MIB, 0), rank=IN_FULL),
    Column(name="output_error", heading="output error", write="{:.1e}".format, rank=IN_FULL),
    Column(name="front", heading="front", is_text=True, rank=5),
    Column(name="verdict", heading="verdict", is_text=True, wraps=True),
)


def frame(choice: Choice) -> pd.DataFrame:
    """Return one row per candidate: the pick, then the others that were not dropped, then the rest.

    Within these, the most accurate come first.
    """
    ordered = sorted(choice.candidates, key=lambda each: _order(each, choice.picked))
    return pd.DataFrame([_row(each) for each in ordered], dtype=object)


def _order(candidate: Candidate, picked: Candidate | None) -> tuple[bool, bool, int, float]:
    dropped, percent = candidate.dropped, candidate.percent
    is_picked = picked is not None and candidate.cell == picked.cell
    step = -dropped.step if dropped else 0
    return not is_picked, dropped is not None, step, 0.0 if percent is None else -percent


def _row(candidate: Candidate) -> dict[str, Any]:
    cell, cost, latency = candidate.cell, candidate.cost, candidate.latency
    macs = cost.macs_per_image if cost else None
    return {
        "arch": cell.arch,
        "mode": cell.mode,
        "batch_size": cell.batch_size,
        "dtype": cell.dtype,
        "device": cell.device,
        "accuracy": candidate.percent,
        "accuracy_source": candidate.accuracy.source if candidate.accuracy else None,
        "latency_s": latency.estimate if latency else None,
        "latency_s_low": latency.low if latency else None,
        "latency_s_high": latency.high if latency else None,
        "least_latency_s": candidate.least_s,
        "gmacs": None if macs is None else macs / 1e9,
        "params": cost.params if cost else None,
        "peak_memory_bytes": candidate.memory_bytes,
        "output_error": candidate.output_error,
        "front": candidate.front,
        "verdict": candidate.verdict,
    }


def markdown(choice: Choice) -> str:
    """Return the result as Markdown, with the sentences above the table."""
    rows = frame(choice)
    shown = tables.as_markdown(filled(COLUMNS, rows), rows)
    return "\n\n".join([TITLE, *map(tables.escaped, choice.sentences), shown]) + "\n"


def write(choice: Choice, folder: Path) -> tuple[Path, ...]:
    """Write ``pick.csv`` and ``pick.md`` to a folder, and return their paths."""
    contents = {
        CSV: tables.as_csv(COLUMNS, frame(choice)) + "\n",
        MARKDOWN: markdown(choice),
    }
    return write_files(folder, contents)
