"""The worker: a process that owns one cell and does what it is asked, a JSON line at a time.

Requests come on standard input, ``{"op": NAME, …}``; each is answered on what was standard output
when the worker started, ``{"ok": …}`` or ``{"error": {"kind": …, "message": …}}``. A
network's own prints, and the frames in which it raised, go to standard error. The end of input ends
the worker.

``python -m bench.worker`` starts one by itself; bench/engine/forkserver.py forks them.
"""

import faulthandler
import json
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, TextIO

import torch

from bench.cells import archs, modes
from bench.cells.cell import Cell
from bench.cells.dtypes import DTYPES
from bench.machine import environment, resident
from bench.names import RequestError
from bench.worker import (
    attempt,
    clock,
    contention,
    cost,
    failure,
    memory,
    origin,
    peak,
    subject,
    sustain,
    tracebacks,
)

Operation = Callable[..., dict[str, Any]]


class Worker:
    """State that a worker keeps between requests."""

    def __init__(self) -> None:
        self.subject: subject.Subject | None = None
        self.device = torch.device("cpu")
        self.resting_bytes: int | None = None
        """Its resident set when the peak was reset; None where it was not."""
        self.replays = False
        self.compiled: tuple[int, int] | None = None
        """Graphs and breaks at the end of warm-up."""

    def describe(self, device: str) -> dict[str, Any]:
        """The environment, as this process sees it."""
        if device.startswith("cuda") and not torch.cuda.is_available():
            raise RequestError(
                f"device {device!r} is not there: this machine's PyTorch {torch.__version__} sees "
                "no CUDA device; use --device cpu"
            )
        self._use(device)
        return environment.describe(device)

    def cost(self, arch: str, image_size: int, seed: int) -> dict[str, Any]:
        """Costs of an arch for one image, the first that ``seed`` draws after the weights."""
        counted = cost.count(archs.find(arch), image_size=image_size, seed=seed)
        origin.check()
        return counted.per_image()

    def ceiling(self, dtype: str, device: str) -> dict[str, Any]:
        """The device's highest rates in a dtype."""
        self._use(device)
        return peak.measure(DTYPES[dtype], self.device)

    def attempt(self, cell: dict[str, Any], image_size: int, seed: int) -> dict[str, Any]:
        """Iterate a cell without checks; return the peak memory of its device or process."""
        wanted = Cell(**cell)
        self._use(wanted.device)
        before_bytes = resident.now_bytes()
        attempt.iterate(wanted, image_size=image_size, seed=seed)
        held = memory.holds(before_bytes, self.device)
        return {"held_bytes": held.get("device_bytes", held["host_bytes"])}

    def prepare(
        self,
        cell: dict[str, Any],
        image_size: int,
        seed: int,
        threads: int | None = None,
        l2: str = "warm",
        is_cached: bool = False,
    ) -> dict[str, Any]:
        """Build a cell, run it and check its answer; return its setup and this process's memory.

        ``is_cached``: whether the cell's code was compiled before.
        """
        wanted = Cell(**cell)
        self._use(wanted.device)
        if is_cached and modes.is_compiled(wanted.mode):
            _compile_alone()
        self.subject = subject.prepare(
            wanted, image_size=image_size, seed=seed, threads=threads, l2=l2
        )
        origin.check()
        setup = self.subject.setup
        self.replays = replays(wanted, setup)
        return {**asdict(setup), **memory.holds(setup.resident_before_bytes, self.device)}

    def warm_up(self) -> dict[str, Any]:
        """Iterate until steady; from here on the peaks of memory count."""
        self.resting_bytes = memory.reset_peak(self.device)
        task, own = self._ready().task, self._clock()
        durations = subject.warm_up(task, own)
        with task.context():
            # CUDA loads a kernel when it is first launched, and rounds launch one more: the
            # clock's own, whose memory would look like somebody's who came to the card.
            own.back_to_back(task.step, 2)
        self.compiled = subject.compiled_graphs()
        return {"durations_s": durations}

    def measure(self, iterations: int, dropped: int = 0, back_to_back: int = 0) -> dict[str, Any]:
        """Time ``iterations`` one by one, and then ``back_to_back`` with no wait between them.

        The ``dropped`` ones come first, and count as they are; of the others, a disturbed one is
        tried again. Back to back is for devices whose calls return before their work is done.
        """
        task, own = self._ready().task, self._clock()
        with task.context():
            dropped_s = own.time(task.step, dropped).host_s
            one_by_one = contention.block(own, task.step, iterations)
            block = own.back_to_back(task.step, back_to_back) if back_to_back else None
        return {
            "dropped_s": dropped_s,
            **asdict(one_by_one),
            "back_to_back": block and asdict(block),
        }

    def sustain(self, seconds: float) -> dict[str, Any]:
        """Iterate for ``seconds``, with no wait between iterations."""
        task = self._ready().task
        with task.context():
            return asdict(sustain.sustain(task.step, seconds, self.device))

    def finish(self) -> dict[str, Any]:
        """Facts about the whole visit to this process: memory, recompilations, a late wrong answer.

        The answer is the last, because it changes what the instruments read.
        """
        graphs, breaks = subject.compiled_graphs()
        ready = self._ready()
        setup = ready.setup
        steady_graphs, steady_breaks = self.compiled or (setup.graphs, setup.graph_breaks)
        peaks = memory.peaks(self.device, ready.apparatus)
        resting = self.resting_bytes
        working_bytes = None if resting is None else peaks["peak_resident_bytes"] - resting
        takes_reserved = self.replays and "peak_reserved_bytes" in peaks
        return {
            **peaks,
            **({"memory_is_reserved": True} if takes_reserved else {}),
            # The allocator of a GPU counts just that; on a CPU it is what the resident set grew by
            # from its rest, which neither the interpreter nor compilation are in, and the weights.
            # What a CUDA graph works in it keeps: it is reserved, and allocated to no tensor.
            "peak_memory_bytes": peaks.get(
                "peak_reserved_bytes" if takes_reserved else "peak_allocated_bytes",
                None if working_bytes is None else setup.weights_bytes + working_bytes,
            ),
            "recompiled_in_warm_up": steady_graphs - setup.graphs,
            "recompiled_graphs": graphs - steady_graphs,
            "late_graph_breaks": breaks - steady_breaks,
            "late_wrong_answer": ready.checks.after_rounds(ready.task),
        }

    def operations(self) -> dict[str, Operation]:
        """Operations by the name that a request gives."""
        return {
            "describe": self.describe,
            "cost": self.cost,
            "ceiling": self.ceiling,
            "attempt": self.attempt,
            "prepare": self.prepare,
            "warm_up": self.warm_up,
            "measure": self.measure,
            "sustain": self.sustain,
            "finish": self.finish,
        }

    def _use(self, device: str) -> None:
        self.device = torch.device(device)
        if self.device.type == "cuda":
            # So that events and streams are this device's; "cuda" has no index, which is refused.
            torch.cuda.set_device(self.device.index or 0)
            environment.pin_cudnn()

    def _clock(self) -> clock.HostClock | clock.CudaClock:
        return clock.for_device(self.device, self._ready().flush)

    def _ready(self) -> subject.Subject:
        if self.subject is None:
            raise RequestError("nothing was prepared in this worker")
        return self.subject


def serve(worker: Worker, requests: TextIO, replies: TextIO) -> None:
    """Answer requests until there are no more."""
    operations = worker.operations()
    for line in requests:
        request = json.loads(line)
        operation = operations[request.pop("op")]
        try:
            reply = {"ok": operation(**request)}
        # Any failure of a network is its cell's result, to be told apart and reported.
        except Exception as error:  # noqa: BLE001
            reply = {"error": {"kind": failure.kind_of(error), "message": failure.sentence(error)}}
            sys.stderr.write(tracebacks.of_user_code(error))
            sys.stderr.flush()
        replies.write(json.dumps(reply) + "\n")
        replies.flush()


def _compile_alone() -> None:
    """Have Inductor compile in this process, and start no others.

    On CUDA it starts some even if everything is cached: for each worker one that imports torch and
    forks one per CPU, whose CPU time a round would count as other processes'. The compiled code and
    its key in the cache stay the same.
    """
    from torch._inductor import config

    config.compile_threads = 1


def replays(cell: Cell, setup: subject.Setup) -> bool:
    """Whether any part of a cell is replayed as a CUDA graph, which keeps its working memory.

    A mode asks for it, and Inductor may skip every graph that it was asked to replay.
    """
    skips = setup.cudagraph_skips
    return modes.is_replayed(cell.mode, cell.device) and (not skips or skips < setup.graphs)


def run(worker: Worker | None = None) -> None:
    """Serve this process's standard streams, keeping the network's own prints apart."""
    faulthandler.enable()
    # Ctrl-C reaches the whole terminal; the parent decides what becomes of the workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    requests = os.fdopen(os.dup(0), encoding="utf-8")
    with Path(os.devnull).open() as nothing:
        os.dup2(nothing.fileno(), 0)  # what a network starts must not read our requests
    serve(worker or Worker(), requests, replies)
