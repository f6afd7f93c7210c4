"""Start-up: the cost of a set of live workers, with fresh interpreters and with forked ones."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from statistics import fmean, variance

from bench import stats
from bench.api.profiles import PRECISION
from bench.cells.cell import Cell
from bench.cells.plan import Plan
from bench.engine.hosts.local import LocalHost
from bench.engine.progress import Progress
from bench.engine.run import Run
from bench.launch.launchers import Launcher
from bench.records.record import RunRecord
from bench.studies.selfcheck.same import ARCHS

ROUNDS = 20  # per set, for every way of starting workers; as many as in a set of the quick profile
ONCE = ("importing", "counting")  # phases that a run goes through once, whatever its number of sets


@dataclass(frozen=True, slots=True, kw_only=True)
class Startup:
    """Sets of workers of one network, for one way of starting workers."""

    way: str
    workers: int
    """Number of live workers per set, all with the same network."""
    importing_s: float
    """Time for importing, once before the first set."""
    set_s: tuple[float, ...]
    """Wall time of each set, in seconds."""
    measuring_s: tuple[float, ...]
    """Part of each set's wall time that was spent on measuring, in seconds."""
    aa_log_ratios: tuple[tuple[float, ...], ...]
    """Log-ratios of each worker to the first of its set, per set; 0 apart from noise."""

    @property
    def aa_sd(self) -> float:
        """Standard deviation of the log-ratio of two workers of a set.

        It is computed from the variance of all workers of a set, because all ratios to the first
        worker share that worker's deviation.
        """
        spreads = [variance((0.0, *ratios)) for ratios in self.aa_log_ratios]
        return math.sqrt(2 * fmean(spreads))


def plan(device: str, *, seed: int) -> Plan:
    """Return a plan of one set, with one network under several names and its control."""
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
    """Measure ``sets`` sets for each way of starting workers, in turn; raises ``WorkerError``."""
    runs: dict[str, list[RunRecord]] = {way: [] for way in ways}
    launchers: dict[str, Launcher] = {}
    with ExitStack() as closing:
        for index in range(sets):
            for way, make in ways.items():
                if way not in launchers:  # so that no other set is measured while a server imports
                    launchers[way] = closing.enter_context(make())
                plan = replace(base, seed=base.seed + index)
                host = LocalHost(plan, launchers[way], progress)
                outcome = Run(plan, host, progress).measure()
                runs[way].append(outcome.run_record())
    for way, records in runs.items():
        yield summarize(way, records)


def summarize(way: str, runs: Sequence[RunRecord]) -> Startup:
    """Return the results of one way of starting workers, from runs of one set each."""
    return Startup(
        way=way,
        workers=len(runs[0].cells) + len(runs[0].controls),
        importing_s=runs[0].phases_s["importing"],
        set_s=tuple(
            sum(seconds for phase, seconds in run.phases_s.items() if phase not in ONCE)
            for run in runs
        ),
        measuring_s=tuple(run.phases_s["measuring"] for run in runs),
        aa_log_ratios=tuple(tuple(_log_ratios(run)) for run in runs),
    )


def _log_ratios(run: RunRecord) -> Iterator[float]:
    reference, *others = (*run.cells, *run.controls)
    for record in others:
        yield math.log(stats.speedup(record, reference).estimate)
