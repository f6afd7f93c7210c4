"""Hand-over: the cost of a visit that follows another worker's, and the effect of a pause."""

import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median

import psutil

from bench.archs.source import IMAGE_SIZE
from bench.cells.cell import Cell
from bench.engine.local.visit_policy import BLOCKS
from bench.launch import timeouts
from bench.launch.launchers import Launcher
from bench.launch.process import WorkerProcess
from bench.worker.protocol import Measure, Prepare, WarmUp

PAUSES_S = (0.0, BLOCKS.pause_s, 4 * BLOCKS.pause_s)
VISITS = 12  # for each pause
ITERATIONS = 6  # per visit: two that show the cost of the hand-over, and four to compare with
IDLE_S = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Handover:
    """Extra time of the first iterations of a visit, for one pause before it."""

    pause_s: float | None
    """Pause after another worker's visit; None for a visit that follows the same worker's."""
    first: float
    """Time of the first iteration over the median of those after the second, minus 1."""
    second: float
    """The same for the second iteration, which is the first that counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Idleness:
    """Cost of live workers that are not visited."""

    exchange_s: float
    """Median time of a visit without iterations: request and reply."""
    cpu_share: float
    """CPUs that all idle workers use together, counted from right after their last visit."""
    workers: int


def measure(
    cells: Sequence[Cell], launcher: Launcher, *, seed: int
) -> tuple[tuple[Handover, ...], Idleness]:
    """Visit live workers with pauses of several lengths; raises ``WorkerError``."""
    workers = [launcher.launch() for _ in cells]
    try:
        for cell, worker in zip(cells, workers, strict=True):
            request = Prepare(cell=cell, image_size=IMAGE_SIZE, seed=seed)
            worker.request(request, limit_s=timeouts.PREPARE_S)
        for worker in workers:
            worker.request(WarmUp(), limit_s=timeouts.WARM_UP_S)
        return tuple(_visits(workers, random.Random(seed))), _idleness(workers)
    finally:
        for worker in workers:
            worker.kill()


def summarize(pause_s: float | None, visits: Sequence[Sequence[float]]) -> Handover:
    """Return the medians over ``visits``, each a sequence of the seconds of its iterations."""
    rests = [median(durations[2:]) for durations in visits]
    first, second = (
        median(durations[index] / rest - 1 for durations, rest in zip(visits, rests, strict=True))
        for index in range(2)
    )
    return Handover(pause_s=pause_s, first=first, second=second)


def _visits(workers: Sequence[WorkerProcess], generator: random.Random) -> Iterator[Handover]:
    pauses_s = [None, *PAUSES_S]
    durations: dict[float | None, list[list[float]]] = {pause_s: [] for pause_s in pauses_s}
    for _ in range(VISITS):
        generator.shuffle(pauses_s)
        for pause_s in pauses_s:
            before, visited = generator.sample(workers, 2)
            _visit(visited if pause_s is None else before)
            time.sleep(pause_s or 0.0)
            durations[pause_s].append(_visit(visited))
    for pause_s in (None, *PAUSES_S):
        yield summarize(pause_s, durations[pause_s])


def _visit(worker: WorkerProcess, iterations: int = ITERATIONS) -> list[float]:
    """Return the seconds of each iteration, including disturbed ones."""
    request = Measure(iterations=0, dropped=iterations)
    return list(worker.request(request, limit_s=timeouts.GRACE_S).dropped_s)


def _idleness(
    workers: Sequence[WorkerProcess], now: Callable[[], float] = time.perf_counter
) -> Idleness:
    exchanges = []
    for _ in range(VISITS):
        start = now()
        _visit(workers[0], iterations=0)
        exchanges.append(now() - start)
    processes = [psutil.Process(worker.pid) for worker in workers]
    for worker in workers:
        _visit(worker)
    before = _cpu_s(processes)
    time.sleep(IDLE_S)
    return Idleness(
        exchange_s=median(exchanges),
        cpu_share=(_cpu_s(processes) - before) / IDLE_S,
        workers=len(workers),
    )


def _cpu_s(processes: Sequence[psutil.Process]) -> float:
    return sum(sum(process.cpu_times()[:2]) for process in processes)
