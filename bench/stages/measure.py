"""Measuring: sets of fresh workers of all networks, alive together and visited in rounds.

Imports no torch.
"""

import random
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from bench.cells import plan
from bench.cells.cell import Cell
from bench.engine import timeouts
from bench.engine.context import Progress
from bench.engine.launch import Launcher
from bench.engine.process import WorkerError, WorkerProcess
from bench.engine.visit_policy import BLOCKS
from bench.machine.environment import allowed_cores, physical_cores
from bench.machine.load import LoadMeter, foreign_cpus
from bench.names import RequestError
from bench.stages import figures
from bench.stages.figures import Circumstances, Macs, Measured, SetFigures, StageVisit

ROUNDS = 5  # of a set: there are few, and the median of each should not wobble
PASSES = 3  # forwards of an iteration: without hooks, with hooks on stages, and on branches


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What to take apart; the cells differ in their archs alone."""

    cells: tuple[Cell, ...]
    image_size: int
    sets: int
    seed: int


def measure(
    request: Request, launcher: Launcher, meter: LoadMeter, progress: Progress
) -> tuple[Measured, ...]:
    """Measure every cell; ``launcher`` starts workers of bench/stages/worker.py.

    Raises ``RequestError`` where a network cannot be counted or run, with what is wrong with it.
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
        for cell, found in visits.items():
            sets[cell].append(figures.of_set(found))
    for cell in request.cells:
        _check_called(cell, macs[cell], sets[cell])
    return tuple(
        Measured(
            cell=cell,
            circumstances=circumstances[0],  # when it began
            image_size=request.image_size,
            macs=macs[cell],
            sets=tuple(sets[cell]),
        )
        for cell in request.cells
    )


class _Set:
    """A worker of each network, for as long as it is visited."""

    def __init__(self, request: Request, launcher: Launcher, progress: Progress) -> None:
        self._request = request
        self._launcher = launcher
        self._progress = progress
        self._live: dict[Cell, WorkerProcess] = {}
        self._latency_s: dict[Cell, float] = {}
        self._closing = ExitStack()

    def __enter__(self) -> "_Set":
        with self._closing:  # where one fails, all end
            for cell in self._request.cells:  # they import torch at once, and prepare in turn
                self._live[cell] = worker = _launched(self._launcher)
                self._closing.callback(worker.kill)
            for cell in self._request.cells:
                self._prepare(cell)
            self._closing = self._closing.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.close()

    def describe(self) -> Circumstances:
        """What all of them run on, and with."""
        cell = self._request.cells[0]
        about = self._ask(cell, "describe", timeouts.SHORT_S, device=cell.device)
        return Circumstances(
            device_name=about["device_name"],
            torch=about["torch"],
            measured_at=datetime.now(UTC).isoformat(timespec="seconds"),
        )

    def visit_in_rounds(
        self, meter: LoadMeter, *, seed: int
    ) -> Mapping[Cell, Sequence[StageVisit]]:
        """Every visit of every worker, in rounds of an order of chance."""
        visits: dict[Cell, list[StageVisit]] = {cell: [] for cell in self._live}
        pids = [*self._launcher.pids, *(worker.pid for worker in self._live.values())]
        drawn, order = random.Random(seed), list(self._live)
        before = meter.read(pids)
        for _ in range(ROUNDS):
            drawn.shuffle(order)
            for cell in order:
                visits[cell].append(self._visit(cell, seed=drawn.getrandbits(32)))
                self._progress.advance(cell.id)
        foreign = foreign_cpus(before, meter.read(pids))
        device = self._request.cells[0].device
        if foreign > plan.foreign_cpus(device, cores=physical_cores(), allowed=allowed_cores()):
            self._progress.note(
                f"other processes kept {foreign:.2f} CPUs busy meanwhile: trust latencies less"
            )
        return visits

    def _prepare(self, cell: Cell) -> None:
        request = self._request
        asked = {"cell": asdict(cell), "image_size": request.image_size, "seed": request.seed}
        self._ask(cell, "prepare", timeouts.PREPARE_S, **asked)
        durations_s = self._ask(cell, "warm_up", timeouts.WARM_UP_S)["durations_s"]
        self._latency_s[cell] = min(durations_s)

    def _visit(self, cell: Cell, *, seed: int) -> StageVisit:
        latency_s = self._latency_s[cell]
        dropped = BLOCKS.dropped(latency_s)
        iterations = dropped + BLOCKS.timed(latency_s)
        limit_s = timeouts.visit_timeout_s(PASSES * BLOCKS.expected_s(latency_s, dropped=dropped))
        time.sleep(BLOCKS.pause_s)
        reply = self._ask(cell, "stages", limit_s, iterations=iterations, seed=seed)
        return StageVisit(
            whole_s=tuple(reply["whole_s"][dropped:]),
            hooked_s=tuple(reply["hooked_s"][dropped:]),
            pair_s=reply["pair_s"],
            parts_s={
                (part["stage"], part["branch"]): tuple(part["seconds"][dropped:])
                for part in reply["parts"]
            },
        )

    def _ask(self, cell: Cell, op: str, limit_s: float, /, **asked: Any) -> dict[str, Any]:
        with _named(cell, self._request.image_size):
            return self._live[cell].request(op, limit_s=limit_s, **asked)


def _count(request: Request, launcher: Launcher, progress: Progress) -> Mapping[Cell, Macs]:
    """Count every network, in a process of its own: tracing leaves much behind."""
    found: dict[Cell, Macs] = {}
    worker = _launched(launcher)
    try:
        for cell in request.cells:
            with _named(cell, request.image_size):
                reply = worker.request(
                    "stage_macs",
                    limit_s=timeouts.SHORT_S,
                    arch=cell.arch,
                    image_size=request.image_size,
                    seed=request.seed,
                )
            parts = {(part["stage"], part["branch"]): part["macs"] for part in reply["parts"]}
            found[cell] = Macs(whole=reply["whole"], parts=parts)
            progress.advance(cell.arch)
    finally:
        worker.kill()
    return found


def _launched(launcher: Launcher) -> WorkerProcess:
    try:
        return launcher.launch()
    except WorkerError as error:
        raise RequestError(f"no worker can be started: {error}") from error


@contextmanager
def _named(cell: Cell, image_size: int) -> Iterator[None]:
    """Make a worker's failure a wrong request: the network, its images, and the reason."""
    try:
        yield
    except WorkerError as error:
        reason = str(error)
        if error.kind in {"died", "timeout"}:
            last = next(reversed(error.stderr.splitlines()), "")
            reason = f"{reason}; {last}".rstrip("; ")
        raise RequestError(f"{cell.arch} at {image_size}×{image_size}: {reason}") from error


def _check_called(cell: Cell, macs: Macs, sets: Sequence[SetFigures]) -> None:
    """Refuse a network that runs without calling the modules that its stages are."""
    timed = {key for found in sets for key in found.parts_s}
    missed = [
        stage
        for (stage, branch), count in macs.parts.items()
        if count and not branch and (stage, branch) not in timed
    ]
    if missed or not timed:
        what = ", ".join(missed) or "any child of its own"
        raise RequestError(
            f"{cell.arch} in {cell.mode} does not call {what} as a module, so that its time cannot "
            "be told from the rest"
        )
