"""Scale: time and memory of each stage of a run's bookkeeping, and how they grow with the run.

``python -m bench.studies.selfcheck.scale CELLS SAMPLES [GROUPS]`` prints one size as JSON.
"""

import math
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import msgspec
import pandas as pd

from bench import stats
from bench.cells.plan import Plan
from bench.columns import Column, scaled
from bench.machine import resident
from bench.records import journal, store
from bench.records.journal import Journal
from bench.records.outcome import Outcome
from bench.report import files, frame
from bench.studies.selfcheck import session, synthetic
from bench.studies.selfcheck.synthetic import Size
from bench.units import counted

CELLS = (10, 100, 1_000)
SAMPLES = 1_000  # per cell
LAYOUTS: Mapping[str, tuple[Size, ...]] = MappingProxyType(
    {
        "groups of ten cells": tuple(
            Size(cells=cells, groups=cells // 10, samples=SAMPLES * cells) for cells in CELLS
        ),
        # The hard case, because the reference is measured again in each wave.
        "one group of all cells": tuple(
            Size(cells=cells, groups=1, samples=SAMPLES * cells) for cells in CELLS
        ),
    }
)
ACCEPTED_S = 20.0  # per stage; two cores take up to 19 s, and a quadratic stage would take minutes
ACCEPTED_BYTES = 2_000_000_000

PLANNING = "planning"
APPLYING = "applying events and writing the journal"
STOPPING = "the stopping rule, after each set"
WRITING = "writing the run file"
REPLAYING = "pytest's items and pytest-benchmark's JSON"
RESUMING = "reading the journal"
READING = "reading the run file"
STATISTICS = "statistics"
REPORTING = "writing the report"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """Time and memory of a run of one size."""

    size: Size
    stages_s: Mapping[str, float]
    """Seconds of each stage, in the order of a run."""
    peak_bytes: int
    """Largest resident set of the process, which ran all stages."""
    journal_bytes: int
    run_file_bytes: int

    @property
    def is_accepted(self) -> bool:
        """Whether each stage took at most ``ACCEPTED_S`` and all at most ``ACCEPTED_BYTES``."""
        return max(self.stages_s.values()) <= ACCEPTED_S and self.peak_bytes <= ACCEPTED_BYTES


def measure(sizes: Sequence[Size]) -> Iterator[Scale]:
    """Measure each size in a fresh process, so that its peak memory includes no other size."""
    for size in sizes:
        numbers = map(str, (size.cells, size.samples, size.groups))
        command = [sys.executable, "-m", __name__, *numbers]
        process = subprocess.run(command, stdout=subprocess.PIPE, check=True)
        yield msgspec.json.decode(process.stdout, type=Scale)


def measure_one(size: Size, folder: Path, now: Callable[[], float] = time.perf_counter) -> Scale:
    """Run every stage on a synthetic run, in this process.

    ``now`` is a clock, in seconds. The files of the run stay in ``folder``.
    """
    stopwatch = _Stopwatch(now)
    with stopwatch.timed(PLANNING):
        plan = synthetic.plan_of(size)
        synthetic.waves_of(plan)
        Outcome(plan)
    _measure(plan, size.samples, folder, stopwatch)
    with stopwatch.timed(RESUMING):
        Outcome.from_events(journal.read(folder / journal.FILE)).records()
    with stopwatch.timed(READING):
        run = store.read(folder / files.RUN_FILE)
    with stopwatch.timed(STATISTICS):
        frame.summary(run)
    with stopwatch.timed(REPORTING):
        files.write(run, folder)
    return Scale(
        size=size,
        stages_s=stopwatch.stages_s,
        peak_bytes=resident.peak_bytes(),
        journal_bytes=(folder / journal.FILE).stat().st_size,
        run_file_bytes=(folder / files.RUN_FILE).stat().st_size,
    )


def columns(scales: Sequence[Scale]) -> tuple[Column, ...]:
    """Return the columns of the table of a layout; its sizes are in ascending order."""
    return (
        Column(name="what", heading="", is_text=True),
        *(
            Column(name=_heading(scale), heading=_heading(scale), write=scaled(1, 3))
            for scale in scales
        ),
        Column(name="growth", heading="× for ten times as much", write=scaled(1, 1)),
    )


def rows(scales: Sequence[Scale]) -> pd.DataFrame:
    """Return a row for each number, with its growth between the two largest sizes."""
    smaller, larger = scales[-2:]
    tables = {_heading(scale): _numbers(scale) for scale in scales}
    return pd.DataFrame(
        {
            "what": what,
            **{heading: numbers[what] for heading, numbers in tables.items()},
            "growth": growth(
                _numbers(smaller)[what], last, larger.size.samples / smaller.size.samples
            ),
        }
        for what, last in _numbers(larger).items()
    )


def growth(before: float, after: float, times: float) -> float:
    """Return the growth of a number for a run ten times as large, by a power law.

    It grew from ``before`` to ``after`` for a run ``times`` as large. Linear growth is 10 and
    quadratic growth is 100.
    """
    return math.pow(after / before, 1 / math.log10(times))


class _Stopwatch:
    """Sums up the seconds of each stage."""

    def __init__(self, now: Callable[[], float]) -> None:
        self.stages_s: dict[str, float] = {}
        self._now = now

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Add the duration of the block to a stage."""
        start = self._now()
        try:
            yield
        finally:
            self.stages_s[stage] = self.stages_s.get(stage, 0.0) + self._now() - start


def _measure(plan: Plan, samples: int, folder: Path, stopwatch: _Stopwatch) -> None:
    """Write a journal, a run file and pytest-benchmark's JSON, as a pytest session does."""
    outcome = Outcome(plan)
    with Journal(folder / journal.FILE, on_error=_raise) as log:
        for batch in map(list, synthetic.sets(plan, samples)):
            with stopwatch.timed(APPLYING):
                for event in batch:
                    outcome.apply(event)
                    log.append(event)
            with stopwatch.timed(STOPPING):
                for group in plan.groups:
                    stats.widest(outcome.group_records(group))
    with stopwatch.timed(WRITING):
        run = outcome.run_record(machine_info={}, commit_info={})
        store.write(run, folder / files.RUN_FILE)
    with stopwatch.timed(REPLAYING):
        session.replay(run, folder / "benchmark.json")


def _raise(error: OSError) -> None:
    raise error


def _heading(scale: Scale) -> str:
    return f"{counted(scale.size.cells, 'cell')},\n{counted(scale.size.samples, 'sample')}"


def _numbers(scale: Scale) -> dict[str, float]:
    """Return the numbers of a size by name and unit."""
    return {
        **{f"{stage}, s": seconds for stage, seconds in scale.stages_s.items()},
        "peak memory, MB": scale.peak_bytes / 1e6,
        "journal, MB": scale.journal_bytes / 1e6,
        "run file, MB": scale.run_file_bytes / 1e6,
    }


def _main(cells: int, samples: int, groups: int = 1) -> str:
    with tempfile.TemporaryDirectory() as folder:
        result = measure_one(Size(cells=cells, samples=samples, groups=groups), Path(folder))
    return msgspec.json.encode(result).decode()


if __name__ == "__main__":
    sys.stdout.write(_main(*map(int, sys.argv[1:])) + "\n")
