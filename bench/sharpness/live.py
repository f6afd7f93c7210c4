"""Live workers that a study visits in its own way; every iteration becomes a row."""

import os
import random
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from typing import Any

from bench.cells.cell import Cell
from bench.cells.plan import IMAGE_SIZE
from bench.engine import timeouts
from bench.engine.launch import launcher
from bench.engine.process import WorkerProcess
from bench.machine import environment

IMPORTS = ("torchvision", "bench.worker.preload")
SPIN = "GOMP_SPINCOUNT"


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """A way to visit a worker."""

    name: str
    timed: int
    """Iterations of a visit that count; one that others held up is tried again."""
    raw: int = 0
    """Iterations before them, kept as they are."""
    pause_s: float = 0.0
    neighbours: bool = False
    """Whether the workers of a mode are visited one after the other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Iteration:
    """One iteration."""

    experiment: str
    arm: str
    repetition: int
    way: str
    round: int
    place: int
    """Of the visit in its round."""
    server: int
    """Which fork server its worker is of."""
    worker: int
    """Which of the workers of the same network and server."""
    network: str
    mode: str
    iteration: int
    """Its place in the visit."""
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """A live worker."""

    cell: Cell
    server: int
    number: int
    process: WorkerProcess


def cell(arch: str, mode: str) -> Cell:
    """An arch in a mode, at batch 1 in fp32 on the CPU."""
    return Cell(arch=arch, mode=mode, dtype="fp32", batch_size=1, task="infer", device="cpu")


@contextmanager
def workers(
    cells: Sequence[Cell], *, servers: int = 1, spin: str | None = environment.SPIN_COUNT
) -> Iterator[list[Live]]:
    """A worker of each cell in each of ``servers``; ``spin`` is OpenMP's count, None its default.

    Raises ``WorkerError`` where one fails.
    """
    variables = environment.for_workers(os.environ)
    variables.pop(SPIN, None)
    if spin is not None:
        variables[SPIN] = spin
    found: list[Live] = []
    with ExitStack() as closing:
        for server in range(servers):
            started = closing.enter_context(
                launcher(variables, IMPORTS, environment.cpus_for_workers())
            )
            started.wait()
            for index, of in enumerate(cells):
                process = started.launch()
                closing.callback(process.kill)
                found.append(_prepared(process, of, server, cells[:index].count(of)))
        yield found


def _prepared(process: WorkerProcess, of: Cell, server: int, number: int) -> Live:
    asked = {"cell": asdict(of), "image_size": IMAGE_SIZE, "seed": 0}
    process.request("prepare", limit_s=timeouts.PREPARE_S, **asked)
    process.request("warm_up", limit_s=timeouts.WARM_UP_S)
    return Live(cell=of, server=server, number=number, process=process)


def visit(live: Live, way: Way) -> list[float]:
    """Seconds of each iteration of a visit."""
    time.sleep(way.pause_s)
    reply: Mapping[str, Any] = live.process.request(
        "measure", limit_s=timeouts.GRACE_S, iterations=way.timed, dropped=way.raw
    )
    return [*reply["dropped_s"], *reply["host_s"]]


def rounds(
    live: Sequence[Live], way: Way, seconds: float, drawn: random.Random, **about: Any
) -> Iterator[Iteration]:
    """Rounds of visits in random order, for so many seconds."""
    end = time.monotonic() + seconds
    number = 0
    while time.monotonic() < end:
        order = drawn.sample(list(live), len(live))
        if way.neighbours:
            modes = list(dict.fromkeys(one.cell.mode for one in order))
            order.sort(key=lambda one: modes.index(one.cell.mode))
        for place, one in enumerate(order):
            yield from _rows(one, way, round=number, place=place, **about)
        number += 1


def alone(live: Sequence[Live], way: Way, **about: Any) -> Iterator[Iteration]:
    """One visit to each worker, long after every other's."""
    for one in live:
        time.sleep(0.05)
        yield from _rows(one, way, round=0, place=0, **about)


def _rows(one: Live, way: Way, **about: Any) -> Iterator[Iteration]:
    for index, took_s in enumerate(visit(one, way)):
        yield Iteration(
            way=way.name,
            server=one.server,
            worker=one.number,
            network=one.cell.arch,
            mode=one.cell.mode,
            iteration=index,
            seconds=round(took_s, 7),
            **about,
        )
