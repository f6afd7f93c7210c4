"""Scale: what the bookkeeping of a run takes, stage by stage, and how that grows with the run.

``python -m bench.selfcheck.scale CELLS SAMPLES [GROUPS]`` measures one size, and prints it as JSON.
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
from bench.machine import resident
from bench.records import journal, store
from bench.records.journal import Journal
from bench.records.outcome import Outcome
from bench.report import files, frame
from bench.selfcheck import session, synthetic
from bench.selfcheck.synthetic import Size
from bench.tables import Column, scaled

CELLS = (10, 100, 1_000)
SAMPLES = 1_000  # a cell
LAYOUTS: Mapping[str, tuple[Size, ...]] = MappingProxyType(
    {
        "groups of ten cells": tuple(
            Size(cells=cells, groups=cells // 10, samples=SAMPLES * cells) for cells in CELLS
        ),
        # The hard case: its reference is measured anew in each of its waves.
        "one group of all cells": tuple(
            Size(cells=cells, groups=1, samples=SAMPLES * cells) for cells in CELLS
        ),
    }
)
ACCEPTED_S = 20.0  # for a stage: two cores take up to 19 s, and minutes what is quadratic
ACCEPTED_BYTES = 2_000_000_000

PLANNING = "planning"
KEEPING = "taking events in, and journalling them"
STOPPING = "the stopping rule, after each set"
WRITING = "writing the run file"
HANDING = "pytest's items, and pytest-benchmark's JSON"
RESUMING = "reading the journal"
READING = "reading the run file"
STATISTICS = "statistics"
REPORTING = "writing the report"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """What a run of one size took."""

    size: Size
    stages_s: Mapping[str, float]
    """Seconds in each stage, in the order of a run's life."""
    peak_bytes: int
    """The largest resident set of the process, which went through all of them."""
    journal_bytes: int
    run_file_bytes: int

    @property
    def is_accepted(self) -> bool:
        """Whether every stage took seconds, and all of them 2 GB at the most."""
        return max(self.stages_s.values()) <= ACCEPTED_S and self.peak_bytes <= ACCEPTED_BYTES


def measure(sizes: Sequence[Size]) -> Iterator[Scale]:
    """Measure each size in a fresh process, so that its peak of memory is its own."""
    for size in sizes:
        numbers = map(str, (size.cells, size.samples, size.groups))
        command = [sys.executable, "-m", __name__, *numbers]
        done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
        yield msgspec.json.decode(done.stdout, type=Scale)


def measure_one(size: Size, folder: Path, now: Callable[[], float] = time.perf_counter) -> Scale:
    """Take a synthetic run through every stage of a run's life, in this process.

    ``now`` is a clock, in seconds. The run's files are left in ``folder``.
    """
    watch = _Stopwatch(now)
    with watch.timed(PLANNING):
        plan = synthetic.plan_of(size)
        synthetic.waves_of(plan)
        Outcome(plan)
    _measure(plan, size.samples, folder, watch)
    with watch.timed(RESUMING):
        Outcome.from_events(journal.read(folder / journal.FILE)).records()
    with watch.timed(READING):
        run = store.read(folder / files.RUN_FILE)
    with watch.timed(STATISTICS):
        frame.summary(run)
    with watch.timed(REPORTING):
        files.write(run, folder)
    return Scale(
        size=size,
        stages_s=watch.stages_s,
        peak_bytes=resident.peak_bytes(),
        journal_bytes=(folder / journal.FILE).stat().st_size,
        run_file_bytes=(folder / files.RUN_FILE).stat().st_size,
    )


def columns(found: Sequence[Scale]) -> tuple[Column, ...]:
    """The columns of the table of a layout's sizes, in ascending order."""
    return (
        Column(name="what", heading="", is_text=True),
        *(
            Column(name=_heading(scale), heading=_heading(scale), write=scaled(1, 3))
            for scale in found
        ),
        Column(name="growth", heading="× for ten times as much", write=scaled(1, 1)),
    )


def rows(found: Sequence[Scale]) -> pd.DataFrame:
    """A row for each stage and for each kind of bytes, and how it grew at the last step."""
    smaller, larger = found[-2:]
    tables = {_heading(scale): _numbers(scale) for scale in found}
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
    """By what factor a number grows for ten times as much, if ``times`` as much made it ``after``.

    A power law: 10 is linear, 100 is quadratic.
    """
    return math.pow(after / before, 1 / math.log10(times))


class _Stopwatch:
    """Seconds by stage."""

    def __init__(self, now: Callable[[], float]) -> None:
        self.stages_s: dict[str, float] = {}
        self._now = now

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Account the time of a block to a stage."""
        start = self._now()
        try:
            yield
        finally:
            self.stages_s[stage] = self.stages_s.get(stage, 0.0) + self._now() - start


def _measure(plan: Plan, samples: int, folder: Path, watch: _Stopwatch) -> None:
    """Leave a journal and a run file in the folder, as a session of pytest does."""
    outcome = Outcome(plan)
    with Journal(folder / journal.FILE, on_error=_raised) as kept:
        for told in map(list, synthetic.sets(plan, samples)):
            with watch.timed(KEEPING):
                for event in told:
                    outcome.apply(event)
                    kept.append(event)
            with watch.timed(STOPPING):
                for group in plan.groups:
                    stats.widest(outcome.group_records(group))
    with watch.timed(WRITING):
        run = outcome.run_record(machine_info={}, commit_info={})
        store.write(run, folder / files.RUN_FILE)
    with watch.timed(HANDING):
        session.replay(run, folder / "benchmark.json")


def _raised(error: OSError) -> None:
    raise error


def _heading(scale: Scale) -> str:
    return f"{scale.size.cells:,} cells,\n{scale.size.samples:,} samples"


def _numbers(scale: Scale) -> dict[str, float]:
    """What is shown of a size, by what it is and its unit."""
    return {
        **{f"{stage}, s": seconds for stage, seconds in scale.stages_s.items()},
        "peak memory, MB": scale.peak_bytes / 1e6,
        "journal, MB": scale.journal_bytes / 1e6,
        "run file, MB": scale.run_file_bytes / 1e6,
    }


def _main(cells: int, samples: int, groups: int = 1) -> str:
    with tempfile.TemporaryDirectory() as folder:
        found = measure_one(Size(cells=cells, samples=samples, groups=groups), Path(folder))
    return msgspec.json.encode(found).decode()


if __name__ == "__main__":
    sys.stdout.write(_main(*map(int, sys.argv[1:])) + "\n")
