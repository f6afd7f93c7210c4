"""Live workers for the study, which visits them in several ways and records every iteration."""

import os
import random
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from bench.archs.source import IMAGE_SIZE
from bench.cells.cell import Cell
from bench.launch import timeouts
from bench.launch.launchers import launcher
from bench.launch.process import WorkerProcess
from bench.machine import cores, pinned
from bench.worker.protocol import Measure, Prepare, WarmUp

IMPORTS = ("torchvision", "bench.worker.preload")
SPIN = "GOMP_SPINCOUNT"


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """A way to visit a worker."""

    name: str
    timed: int
    """Timed iterations per visit; an iteration that other processes disturbed is repeated."""
    raw: int = 0
    """Iterations before the timed ones; they are recorded even if disturbed."""
    pause_s: float = 0.0
    """Pause before each visit."""
    neighbours: bool = False
    """Whether the workers of one mode are visited one after the other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Iteration:
    """One iteration; a row of the CSV file."""

    experiment: str
    arm: str
    repetition: int
    way: str
    round: int
    place: int
    """Index of the visit in its round."""
    server: int
    """Index of the worker's fork server."""
    worker: int
    """Index of the worker among those with the same cell and server."""
    network: str
    mode: str
    iteration: int
    """Index of the iteration in its visit."""
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """A live worker and its indices."""

    cell: Cell
    server: int
    number: int
    process: WorkerProcess


def cell(arch: str, mode: str) -> Cell:
    """Return the cell of an arch and a mode, at batch 1 in fp32 on the CPU."""
    return Cell(arch=arch, mode=mode, dtype="fp32", batch_size=1, task="infer", device="cpu")


@contextmanager
def workers(
    cells: Sequence[Cell], *, servers: int = 1, spin: str | None = pinned.SPIN_COUNT
) -> Iterator[list[Live]]:
    """Start a worker for each cell in each of ``servers`` fork servers.

    ``spin`` is the spin count of OpenMP; None leaves its default. Raises ``WorkerError`` if a
    worker fails.
    """
    variables = pinned.for_workers(os.environ)
    variables.pop(SPIN, None)
    if spin is not None:
        variables[SPIN] = spin
    live: list[Live] = []
    with ExitStack() as closing:
        for server in range(servers):
            started = closing.enter_context(launcher(variables, IMPORTS, cores.cpus_for_workers()))
            started.wait()
            for index, worker_cell in enumerate(cells):
                process = started.launch()
                closing.callback(process.kill)
                live.append(
                    _prepare(process, worker_cell, server, cells[:index].count(worker_cell))
                )
        yield live


def _prepare(process: WorkerProcess, worker_cell: Cell, server: int, number: int) -> Live:
    request = Prepare(cell=worker_cell, image_size=IMAGE_SIZE, seed=0)
    process.request(request, limit_s=timeouts.PREPARE_S)
    process.request(WarmUp(), limit_s=timeouts.WARM_UP_S)
    return Live(cell=worker_cell, server=server, number=number, process=process)


def visit(live: Live, way: Way) -> list[float]:
    """Visit a worker, and return the seconds of each iteration."""
    time.sleep(way.pause_s)
    request = Measure(iterations=way.timed, dropped=way.raw)
    reply = live.process.request(request, limit_s=timeouts.GRACE_S)
    return [*reply.dropped_s, *reply.host_s]


def rounds(
    live: Sequence[Live], way: Way, seconds: float, generator: random.Random, **labels: Any
) -> Iterator[Iteration]:
    """Visit all workers in rounds of random order for ``seconds``, and yield every iteration."""
    end = time.monotonic() + seconds
    number = 0
    while time.monotonic() < end:
        order = generator.sample(list(live), len(live))
        if way.neighbours:
            modes = list(dict.fromkeys(worker.cell.mode for worker in order))
            order.sort(key=lambda worker: modes.index(worker.cell.mode))
        for place, worker in enumerate(order):
            yield from _rows(worker, way, round=number, place=place, **labels)
        number += 1


def alone(live: Sequence[Live], way: Way, **labels: Any) -> Iterator[Iteration]:
    """Visit each worker once, 50 ms after the visit before."""
    for worker in live:
        time.sleep(0.05)
        yield from _rows(worker, way, round=0, place=0, **labels)


def _rows(worker: Live, way: Way, **labels: Any) -> Iterator[Iteration]:
    for index, took_s in enumerate(visit(worker, way)):
        yield Iteration(
            way=way.name,
            server=worker.server,
            worker=worker.number,
            network=worker.cell.arch,
            mode=worker.cell.mode,
            iteration=index,
            seconds=round(took_s, 7),
            **labels,
        )
