"""The worker: a process that owns one cell and serves requests, one JSON line each.

Requests arrive on standard input as ``{"op": NAME, …}``. Each gets one reply on the original
standard output: ``{"ok": …}`` or ``{"error": {"kind": …, "message": …}}``. The output of a
network's own prints, and the frames in which it raised, go to standard error. The worker ends when
its input ends.

``python -m bench.worker.worker`` starts a worker in a fresh interpreter;
bench/launch/forkserver.py forks workers.
"""

import faulthandler
import os
import signal
import sys
from dataclasses import asdict
from pathlib import Path

import msgspec
import torch

from bench import archs
from bench.archs.source import Accuracy
from bench.cells import modes
from bench.cells.cell import Cell
from bench.cells.dtypes import DTYPES
from bench.errors import RequestError
from bench.machine import description, pinned, resident
from bench.machine.environment import Environment
from bench.records.reported import ArchCost, Ceiling, OperatorProfile
from bench.worker import (
    attempt,
    ceiling,
    clock,
    contention,
    cost,
    memory,
    origin,
    profiling,
    subject,
    sustain,
)
from bench.worker.parent_death import die_with_parent
from bench.worker.protocol import (
    Attempted,
    CountCost,
    Describe,
    Finish,
    Finished,
    Measure,
    MeasureCeiling,
    Measured,
    Prepare,
    Prepared,
    ProfileOperators,
    Sustain,
    Sustained,
    TryBatch,
    WarmedUp,
    WarmUp,
)
from bench.worker.serving import Operations, serve


class Worker:
    """State that a worker keeps between requests."""

    def __init__(self) -> None:
        self.subject: subject.Subject | None = None
        self.device = torch.device("cpu")
        self.resting_bytes: int | None = None
        """Resident set when the peak was reset; None if it was not reset."""
        self.replays = False
        self.compiled: tuple[int, int] | None = None
        """Numbers of graphs and graph breaks at the end of warm-up."""

    def describe(self, request: Describe) -> Environment:
        """Return the environment of this process."""
        device = request.device
        if device.startswith("cuda") and not torch.cuda.is_available():
            raise RequestError(
                f"device {device!r} is not available: PyTorch {torch.__version__} finds no CUDA "
                "device on this machine; use --device cpu"
            )
        self._use(device)
        return description.describe(device, request.libraries)

    def cost(self, request: CountCost) -> ArchCost:
        """Return the cost of an arch."""
        arch = archs.find(request.arch)
        result = cost.count(
            arch, image_size=request.image_size, input_shape=request.input_shape, seed=request.seed
        )
        origin.check()
        return _with_accuracy(result.per_image(), arch.accuracy_on(request.image_size))

    def ceiling(self, request: MeasureCeiling) -> Ceiling:
        """Return the device's peak rates in a dtype."""
        self._use(request.device)
        return ceiling.measure(DTYPES[request.dtype], self.device)

    def attempt(self, request: TryBatch) -> Attempted:
        """Iterate a cell without checks; return the peak memory of its device or process."""
        self._use(request.cell.device)
        before_bytes = resident.now_bytes()
        attempt.iterate(
            request.cell,
            image_size=request.image_size,
            input_shape=request.input_shape,
            seed=request.seed,
        )
        footprint = memory.footprint(before_bytes, self.device)
        return Attempted(held_bytes=footprint.device_bytes or footprint.host_bytes)

    def prepare(self, request: Prepare) -> Prepared:
        """Build a cell, run it and check its answer; return its setup and this process's memory."""
        self._use(request.cell.device)
        self.subject = subject.prepare(
            request.cell,
            image_size=request.image_size,
            input_shape=request.input_shape,
            seed=request.seed,
            threads=request.threads,
            l2=request.l2,
            was_compiled=request.is_cached,
            is_profiled=request.is_profiled,
        )
        origin.check()
        setup = self.subject.setup
        self.replays = replays(request.cell, setup)
        footprint = memory.footprint(setup.resident_before_bytes, self.device)
        return Prepared(**asdict(setup), **asdict(footprint))

    def warm_up(self, _: WarmUp) -> WarmedUp:
        """Iterate until the latency is steady; return the seconds of each iteration."""
        self.resting_bytes = memory.reset_peak(self.device)
        task, timer = self._ready().task, self._clock()
        durations = subject.warm_up(task, timer)
        with task.context():
            # CUDA loads a kernel at its first launch. Rounds launch one more kernel, that of the
            # clock; if it were loaded during a round, its memory would look like that of another
            # process on the card.
            timer.back_to_back(task.step, 2)
        self.compiled = subject.compiled_graphs()
        return WarmedUp(durations_s=tuple(durations))

    def measure(self, request: Measure) -> Measured:
        """Time iterations; return the seconds of each."""
        task, timer = self._ready().task, self._clock()
        with task.context():
            dropped_s = timer.time(task.step, request.dropped).host_s
            one_by_one = contention.block(timer, task.step, request.iterations)
            count = request.back_to_back
            block = timer.back_to_back(task.step, count) if count else None
        return Measured(
            dropped_s=dropped_s,
            host_s=one_by_one.host_s,
            device_s=one_by_one.device_s,
            disturbed_s=one_by_one.disturbed_s,
            back_to_back=block,
        )

    def sustain(self, request: Sustain) -> Sustained:
        """Iterate with no wait between iterations; return their number and the time."""
        task = self._ready().task
        with task.context():
            return sustain.sustain(task.step, request.seconds, self.device)

    def finish(self, _: Finish) -> Finished:
        """Return results for the worker's lifetime: memory, recompilations, a late wrong answer.

        The answer is checked last, because the check changes the other readings.
        """
        graphs, breaks = subject.compiled_graphs()
        ready = self._ready()
        setup = ready.setup
        steady_graphs, steady_breaks = self.compiled or (setup.graphs, setup.graph_breaks)
        peaks = memory.peaks(self.device, ready.apparatus)
        resting = self.resting_bytes
        uses_reserved = self.replays and peaks.reserved_bytes is not None
        # On a GPU the allocator counts exactly the network's memory. On a CPU it is the weights
        # plus the growth of the resident set since it was reset, which excludes the interpreter
        # and compilation, plus what another runtime has kept since its first call. A CUDA graph
        # keeps its working memory reserved, but no tensor owns it, so the reserved peak is used for
        # replayed cells.
        memory_bytes = peaks.reserved_bytes if uses_reserved else peaks.allocated_bytes
        if memory_bytes is None and resting is not None:
            growth_bytes = peaks.resident_bytes - resting
            memory_bytes = setup.weights_bytes + ready.kept_bytes + growth_bytes
        return Finished(
            peak_resident_bytes=peaks.resident_bytes,
            peak_allocated_bytes=peaks.allocated_bytes,
            peak_reserved_bytes=peaks.reserved_bytes,
            peak_memory_bytes=memory_bytes,
            memory_is_reserved=uses_reserved,
            recompiled_in_warm_up=steady_graphs - setup.graphs,
            recompiled_graphs=graphs - steady_graphs,
            late_graph_breaks=breaks - steady_breaks,
            late_wrong_answer=ready.checks.after_rounds(ready.task),
        )

    def operators(self, _: ProfileOperators) -> OperatorProfile:
        """Return the time by operator."""
        return profiling.profile(self._ready().task)

    def operations(self) -> Operations:
        """Return the operations by the type of their request."""
        return {
            Describe: self.describe,
            CountCost: self.cost,
            MeasureCeiling: self.ceiling,
            TryBatch: self.attempt,
            Prepare: self.prepare,
            WarmUp: self.warm_up,
            Measure: self.measure,
            Sustain: self.sustain,
            Finish: self.finish,
            ProfileOperators: self.operators,
        }

    def _use(self, device: str) -> None:
        self.device = torch.device(device)
        if self.device.type == "cuda":
            # So that events and streams belong to this device. set_device rejects "cuda" without an
            # index.
            torch.cuda.set_device(self.device.index or 0)
            pinned.pin_cudnn()

    def _clock(self) -> clock.HostClock | clock.CudaClock:
        return clock.for_device(self.device, self._ready().flush)

    def _ready(self) -> subject.Subject:
        if self.subject is None:
            raise RequestError("this worker has no prepared cell: request prepare first")
        return self.subject


def _with_accuracy(count: ArchCost, published: Accuracy | None) -> ArchCost:
    if published is None:
        return count
    return msgspec.structs.replace(
        count, accuracy=published.percent, accuracy_source=published.source
    )


def replays(cell: Cell, setup: subject.SubjectFacts) -> bool:
    """Return whether a part of a cell is replayed as a CUDA graph, which keeps its working memory.

    The mode determines this, but Inductor may skip every graph that it should replay.
    """
    skips = setup.cudagraph_skips
    return modes.parse(cell.mode).is_replayed(cell.device) and (not skips or skips < setup.graphs)


def run(worker: Worker | None = None) -> None:
    """Serve requests on this process's standard streams; divert the network's own output."""
    faulthandler.enable()
    # Ctrl-C goes to every process of the terminal; only the parent decides when workers end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    # What a network prints must be there when its failure is reported, even if the process dies.
    sys.stdout = sys.stderr
    # A line that is not UTF-8 becomes a request that cannot be read, like any other wrong one.
    requests = os.fdopen(os.dup(0), encoding="utf-8", errors="replace")
    with Path(os.devnull).open() as null:
        os.dup2(null.fileno(), 0)  # processes that a network starts must not read requests
    serve((worker or Worker()).operations(), requests, replies)


if __name__ == "__main__":
    die_with_parent(os.getppid())
    run()
