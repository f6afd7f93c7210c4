"""Measurement: sets of fresh workers of all networks, alive together and visited in rounds.

Imports no torch.
"""

import random
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

from bench.archs.source import Shape
from bench.cells import plan
from bench.cells.cell import Cell
from bench.engine.local.visit_policy import BLOCKS
from bench.engine.progress import Progress
from bench.launch import timeouts
from bench.launch.launchers import Launcher
from bench.launch.process import WorkerError, WorkerProcess
from bench.machine.environment import allowed_cores, physical_cores
from bench.machine.load import LoadMeter, foreign_cpus
from bench.names import RequestError
from bench.stages import figures
from bench.stages.figures import Circumstances, Macs, NetworkFigures, SetFigures, StageVisit
from bench.stages.protocol import CountStages, TimeStages
from bench.worker import protocol
from bench.worker.protocol import Describe, Prepare, ReplyT, WarmUp

Reply = TypeVar("Reply")

ROUNDS = 5  # per set; sets are few, so the median of each must be stable
PASSES = 3  # forward passes per iteration: without hooks, with hooks on stages, on branches


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """The networks to measure; the cells differ only in their archs."""

    cells: tuple[Cell, ...]
    image_size: int | None
    """Height and width of the images in pixels; None for what each network is made for."""
    input_shape: Shape | None = None
    """Channels, height and width of the images of networks that do not say what they take."""
    sets: int
    seed: int


def measure(
    request: Request, launcher: Launcher, meter: LoadMeter, progress: Progress
) -> tuple[NetworkFigures, ...]:
    """Measure every cell and return its figures.

    ``launcher`` starts workers of bench/stages/worker.py. Raises ``RequestError`` with the reason
    if a network cannot be counted or run.
    """
    progress.phase("counting", len(request.cells))
    macs = _count(request, launcher, progress)
    sets: dict[Cell, list[SetFigures]] = {cell: [] for cell in request.cells}
    circumstances = []
    for set_index in range(request.sets):
        progress.phase(f"set {set_index + 1} of {request.sets}", ROUNDS * len(request.cells))
        with _Set(request, launcher, progress) as live:
            circumstances.append(live.describe())
            visits = live.visit_in_rounds(meter, seed=request.seed + set_index)
        for cell, of_cell in visits.items():
            sets[cell].append(figures.summarize(of_cell))
    for cell in request.cells:
        _check_called(cell, macs[cell], sets[cell])
    return tuple(
        NetworkFigures(
            cell=cell,
            circumstances=circumstances[0],  # of the first set
            macs=macs[cell],
            sets=tuple(sets[cell]),
        )
        for cell in request.cells
    )


class _Set:
    """The live workers of a set, one for each network."""

    def __init__(self, request: Request, launcher: Launcher, progress: Progress) -> None:
        self._request = request
        self._launcher = launcher
        self._progress = progress
        self._live: dict[Cell, WorkerProcess] = {}
        self._latency_s: dict[Cell, float] = {}
        self._closing = ExitStack()

    def __enter__(self) -> "_Set":
        with self._closing:  # if one worker fails, all are ended
            for cell in self._request.cells:  # they import torch in parallel, and prepare in turn
                self._live[cell] = worker = _launch(self._launcher)
                self._closing.callback(worker.kill)
            for cell in self._request.cells:
                self._prepare(cell)
            self._closing = self._closing.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.close()

    def describe(self) -> Circumstances:
        """Return the device and the PyTorch of the workers, and the current time."""
        cell = self._request.cells[0]
        description = self._request_to(cell, Describe(device=cell.device), timeouts.SHORT_S)
        return Circumstances(
            device_name=str(description.device_name),
            torch=str(description.torch),
            measured_at=datetime.now(UTC).isoformat(timespec="seconds"),
        )

    def visit_in_rounds(
        self, meter: LoadMeter, *, seed: int
    ) -> Mapping[Cell, Sequence[StageVisit]]:
        """Visit the workers in rounds, each in a random order, and return all visits."""
        visits: dict[Cell, list[StageVisit]] = {cell: [] for cell in self._live}
        pids = [*self._launcher.pids, *(worker.pid for worker in self._live.values())]
        rng, order = random.Random(seed), list(self._live)
        before = meter.read(pids)
        for _ in range(ROUNDS):
            rng.shuffle(order)
            for cell in order:
                visits[cell].append(self._visit(cell, seed=rng.getrandbits(32)))
                self._progress.advance(cell.id)
        foreign = foreign_cpus(before, meter.read(pids))
        device = self._request.cells[0].device
        if foreign > plan.foreign_cpus(device, cores=physical_cores(), allowed=allowed_cores()):
            self._progress.note(
                f"other processes kept {foreign:.2f} CPUs busy during this set: its latencies are "
                "less reliable"
            )
        return visits

    def _prepare(self, cell: Cell) -> None:
        request = self._request
        prepare = Prepare(
            cell=cell,
            image_size=request.image_size,
            input_shape=request.input_shape,
            seed=request.seed,
        )
        self._request_to(cell, prepare, timeouts.PREPARE_S)
        warmed_up = self._request_to(cell, WarmUp(), timeouts.WARM_UP_S)
        self._latency_s[cell] = min(warmed_up.durations_s)

    def _visit(self, cell: Cell, *, seed: int) -> StageVisit:
        latency_s = self._latency_s[cell]
        dropped = BLOCKS.dropped(latency_s)
        iterations = dropped + BLOCKS.timed(latency_s)
        limit_s = timeouts.visit_timeout_s(PASSES * BLOCKS.expected_s(latency_s, dropped=dropped))
        time.sleep(BLOCKS.pause_s)
        reply = self._request_to(cell, TimeStages(iterations=iterations, seed=seed), limit_s)
        return StageVisit(
            whole_s=reply.whole_s[dropped:],
            hooked_s=reply.hooked_s[dropped:],
            pair_s=reply.pair_s,
            parts_s={(part.stage, part.branch): part.seconds[dropped:] for part in reply.parts},
        )

    def _request_to(self, cell: Cell, request: protocol.Request[ReplyT], limit_s: float) -> ReplyT:
        with _request_errors(cell, self._request.image_size):
            return self._live[cell].request(request, limit_s=limit_s)


def _count(request: Request, launcher: Launcher, progress: Progress) -> Mapping[Cell, Macs]:
    """Count every network in a separate process, because tracing leaves much behind."""
    macs: dict[Cell, Macs] = {}
    worker = _launch(launcher)
    try:
        for cell in request.cells:
            with _request_errors(cell, request.image_size):
                count = CountStages(
                    arch=cell.arch,
                    image_size=request.image_size,
                    input_shape=request.input_shape,
                    seed=request.seed,
                )
                reply = worker.request(count, limit_s=timeouts.SHORT_S)
            parts = {(part.stage, part.branch): part.macs for part in reply.parts}
            macs[cell] = Macs(whole=reply.whole, parts=parts, image_size=reply.image_size)
            progress.advance(cell.arch)
    finally:
        worker.kill()
    return macs


def _launch(launcher: Launcher) -> WorkerProcess:
    try:
        return launcher.launch()
    except WorkerError as error:
        raise RequestError(f"no worker can be started: {error}") from error


@contextmanager
def _request_errors(cell: Cell, image_size: int | None) -> Iterator[None]:
    """Turn a worker's failure into a ``RequestError`` with the network, image size and reason."""
    try:
        yield
    except WorkerError as error:
        reason = str(error)
        if error.kind in {"died", "timeout"}:
            last_line = next(reversed(error.stderr.splitlines()), "")
            reason = f"{reason}; {last_line}".rstrip("; ")
        at = f" at {image_size}×{image_size}" if image_size else ""
        raise RequestError(f"{cell.arch}{at}: {reason}") from error


def _check_called(cell: Cell, macs: Macs, sets: Sequence[SetFigures]) -> None:
    """Raise ``RequestError`` if a network runs without calling the modules of its stages."""
    timed = {key for set_figures in sets for key in set_figures.parts_s}
    not_called = [
        stage
        for (stage, branch), count in macs.parts.items()
        if count and not branch and (stage, branch) not in timed
    ]
    if not_called or not timed:
        names = ", ".join(not_called) or "any of its children"
        raise RequestError(
            f"{cell.arch} in {cell.mode} does not call {names} as a module, so the time of its "
            "stages cannot be measured"
        )
