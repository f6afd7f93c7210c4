"""Start-up: what a set of live workers costs with fresh interpreters, and forked ones."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from statistics import fmean, variance

from bench import stats
from bench.cells.cell import Cell
from bench.cells.plan import Plan
from bench.engine.context import Progress
from bench.engine.launch import Launcher
from bench.engine.run import Run
from bench.records.record import RunRecord
from bench.selfcheck.same import ARCHS
from bench.suite.profiles import PRECISION

ROUNDS = 20  # of a set, whichever way its workers start: as many as a quick set has
ONCE = ("importing", "counting")  # phases of a run, whatever the number of its sets


@dataclass(frozen=True, slots=True, kw_only=True)
class Startup:
    """Sets of workers of one network, started in one way."""

    way: str
    workers: int
    """Alive in each set, all with the same network."""
    importing_s: float
    """Before the first set, once."""
    set_s: tuple[float, ...]
    """Wall time of each set."""
    measuring_s: tuple[float, ...]
    """Of that, seconds in timed iterations."""
    aa_log_ratios: tuple[tuple[float, ...], ...]
    """Of each worker to the first of its set, set by set: 0 but for noise."""

    @property
    def aa_sd(self) -> float:
        """Standard deviation of the log-ratio of two workers of a set.

        From the spread of all of a set's workers: ratios to the first have its own deviation in
        each of them.
        """
        spreads = [variance((0.0, *ratios)) for ratios in self.aa_log_ratios]
        return math.sqrt(2 * fmean(spreads))


def plan(device: str, *, seed: int) -> Plan:
    """One set of one network under several names, and its control."""
    cells = tuple(
        Cell(arch=arch, mode="eager", dtype="fp32", batch_size=1, task="infer", device=device)
        for arch in ARCHS
    )
    return Plan(
        cells=cells,
        sets=1,
        rounds=ROUNDS,
        precision=PRECISION,
        extra_s=0.0,
        budget_s=None,
        seed=seed,
        reference_arch=ARCHS[0],
    )


def measure(
    ways: Mapping[str, Callable[[], Launcher]], base: Plan, sets: int, progress: Progress
) -> Iterator[Startup]:
    """Measure ``sets`` sets of each way of starting workers, in turn; raises ``WorkerError``."""
    runs: dict[str, list[RunRecord]] = {way: [] for way in ways}
    launchers: dict[str, Launcher] = {}
    with ExitStack() as closing:
        for index in range(sets):
            for way, make in ways.items():
                if way not in launchers:  # a server imports while it is measured, and no other is
                    launchers[way] = closing.enter_context(make())
                plan = replace(base, seed=base.seed + index)
                found = Run(plan, launchers[way], progress).measure()
                runs[way].append(found.run_record())
    for way, records in runs.items():
        yield summarize(way, records)


def summarize(way: str, runs: Sequence[RunRecord]) -> Startup:
    """What runs of a set each show of one way to start workers."""
    return Startup(
        way=way,
        workers=len(runs[0].cells) + len(runs[0].controls),
        importing_s=runs[0].phases_s["importing"],
        set_s=tuple(
            sum(spent for phase, spent in run.phases_s.items() if phase not in ONCE) for run in runs
        ),
        measuring_s=tuple(run.phases_s["measuring"] for run in runs),
        aa_log_ratios=tuple(tuple(_log_ratios(run)) for run in runs),
    )


def _log_ratios(run: RunRecord) -> Iterator[float]:
    reference, *others = (*run.cells, *run.controls)
    for record in others:
        yield math.log(stats.speedup(record, reference).estimate)
