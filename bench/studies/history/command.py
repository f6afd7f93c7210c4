"""``python -m bench.studies.history``: fill a history with runs, and time adding and reading."""

import argparse
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from statistics import median

import pandas as pd

from bench.api.history import read_entry
from bench.columns import Column, scaled
from bench.errors import RequestError
from bench.exits import Exit
from bench.history import report, writing
from bench.history.store import Store, open_store
from bench.metrics.speedup import SPEEDUP
from bench.records import store as run_files
from bench.records.record import RunRecord
from bench.studies.history import synthetic
from bench.tables import FORMATS

RUNS, CELLS = 10_000, 30
REPETITIONS = 5
RUN = Path("reports/cpu-amd-epyc-2-cores/run.json")
_AT_ONCE = 100  # runs in a transaction while the history is filled
COLUMNS = (
    Column(name="what", heading="what", is_text=True, wraps=True),
    Column(name="median_s", heading="median s", write=scaled(1, 3)),
    Column(name="worst_s", heading="worst s", write=scaled(1, 3)),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print a table, and return the exit code."""
    options = _parser().parse_args(arguments)
    try:
        run = synthetic.widened(run_files.read(options.run), options.cells)
        with tempfile.TemporaryDirectory(prefix="googlenet-bench-history-") as folder:
            place = options.history or str(Path(folder) / "history.db")
            times = measure(run, place, Path(folder), options.runs)
    except RequestError as error:
        sys.stderr.write(f"history study: {error}\n")
        return Exit.WRONG_REQUEST
    rows = [
        {"what": what, "median_s": median(each), "worst_s": max(each)}
        for what, each in times.items()
    ]
    sys.stdout.write(FORMATS[options.format](COLUMNS, pd.DataFrame(rows)) + "\n")
    return Exit.FINE


def measure(run: RunRecord, place: str, folder: Path, count: int) -> Mapping[str, Sequence[float]]:
    """Fill the history at ``place`` with ``count`` runs, and return the seconds of each step."""
    store = open_store(place, create=True)
    times = {}
    if count:
        times[f"fill with {count:,} runs of {len(run.cells)} cells"] = [_fill(store, run, count)]
    files = list(_files(run, folder))
    times["read a run file"] = [_seconds(partial(read_entry, file)) for file in files]
    entries = [read_entry(file) for file in files]
    times["add a run"] = [_seconds(partial(store.add, entry)) for entry in entries]
    cell = entries[0].cells[-1].cell
    steps: dict[str, Callable[[], object]] = {
        "list 30 runs": lambda: store.runs(last=30),
        "show a run": lambda: store.run("latest"),
        "trend of a cell": lambda: report.titles(store.series(cell, SPEEDUP.name)[0]),
        "trend of all cells": lambda: report.trends(store.series("*", SPEEDUP.name)),
    }
    for what, step in steps.items():
        times[what] = [_seconds(step) for _ in range(REPETITIONS)]
    again = list(_files(run, folder))
    times["the command history add"] = [_command(place, "add", str(file)) for file in again]
    for what, options in {"of a cell": ("--cell", cell), "of all cells": ()}.items():
        times[f"the command history trend {what}"] = [
            _command(place, "trend", *options) for _ in range(REPETITIONS)
        ]
    return times


def _fill(store: Store, run: RunRecord, count: int) -> float:
    started = time.perf_counter()
    rest = synthetic.entries(run, count)
    for start in range(0, count, _AT_ONCE):
        with store.database.writing() as connection:
            for _ in range(min(_AT_ONCE, count - start)):
                writing.add(connection, next(rest))
    return time.perf_counter() - started


def _files(run: RunRecord, folder: Path) -> Iterator[Path]:
    """Write run files that the history does not have, and yield their paths."""
    for _ in range(REPETITIONS):
        run_id = uuid.uuid4().hex
        path = folder / f"{run_id}.json"
        run_files.write(replace(run, run_id=run_id, datetime=datetime.now(UTC).isoformat()), path)
        yield path


def _seconds(step: Callable[[], object]) -> float:
    started = time.perf_counter()
    step()
    return time.perf_counter() - started


def _command(place: str, action: str, *options: str) -> float:
    """Run a command in a process of its own, and return its time from start to end."""
    words = [sys.executable, "-m", "bench", "history", action, "--history", place, *options]
    return _seconds(lambda: subprocess.run(words, check=True, stdout=subprocess.DEVNULL))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench.studies.history",
        description="Fill a history with runs, and time adding and reading.",
    )
    parser.add_argument(
        "--runs",
        type=int,
        default=RUNS,
        help=f"runs to fill in ({RUNS:,}); 0 if --history is filled",
    )
    parser.add_argument("--cells", type=int, default=CELLS, help=f"cells of each run ({CELLS})")
    parser.add_argument(
        "--run", type=Path, default=RUN, metavar="FILE", help=f"run file to vary ({RUN})"
    )
    parser.add_argument(
        "--history", metavar="PATH_OR_URL", help="history to fill (default: a temporary file)"
    )
    parser.add_argument("--format", choices=tuple(FORMATS), default="rich", help="(rich)")
    return parser
