"""A worker that also measures each stage of its network and each branch of a stage."""

import os
import random
from collections.abc import Sequence
from statistics import median

import torch

from bench import archs
from bench.cells import inputs
from bench.cells.inputs import Drawing
from bench.cells.module import to_eval
from bench.stages import partition, spans
from bench.stages.protocol import (
    CountStages,
    PartMacs,
    PartSeconds,
    StageMacs,
    StageSeconds,
    TimeStages,
)
from bench.stages.vocabulary import Key, StagePart
from bench.worker import clock, network, worker
from bench.worker.attribution import attributed
from bench.worker.mac_counter import MacCounter
from bench.worker.parent_death import die_with_parent
from bench.worker.serving import Operations
from bench.worker.worker import Worker


class StagedWorker(Worker):
    """A worker that also counts and times the parts of its network."""

    def operations(self) -> Operations:
        """Return the operations of a worker and the two of this class."""
        return {**super().operations(), CountStages: self.stage_macs, TimeStages: self.stages}

    def stage_macs(self, request: CountStages) -> StageMacs:
        """Return an arch's MACs for one random image: of the whole, and of each stage and branch.

        MACs are attributed like seconds, by module calls; branches have a separate forward pass.
        """
        torch.manual_seed(request.seed)
        arch = archs.find(request.arch)
        draw = Drawing(arch, request.image_size, request.input_shape)
        model = to_eval(network.build(arch, aux=False, draw=draw))
        image = draw(1)
        parts = partition.split(model)
        total, macs = 0, dict[Key, int]()
        for hooked in _passes(parts).values():
            with (
                MacCounter() as counter,
                attributed(spans.modules(model, hooked), lambda: counter.macs) as by_key,
            ):
                model(*inputs.clone(image))
            total, macs = counter.macs, {**macs, **by_key}
        return StageMacs(
            whole=total,
            image_size=draw.image_size,
            parts=tuple(
                PartMacs(stage=part.stage, branch=part.branch, macs=macs.get(part.key, 0))
                for part in parts
            ),
        )

    def stages(self, request: TimeStages) -> StageSeconds:
        """Return seconds of forward passes without hooks, with hooks on stages and on branches.

        Each iteration runs one of each, in random order. Branches have separate forward passes, so
        that their hooks are not in the time of a stage.
        """
        task = self._ready().task
        timer, now = clock.for_device(self.device), spans.instant(self.device)
        parts = partition.split(task.model)
        passes = {"whole": [], **_passes(parts)}
        forwards_s: dict[str, list[float]] = {name: [] for name in passes}
        parts_s: dict[Key, list[float]] = {part.key: [] for part in parts}
        order, rng = list(passes), random.Random(request.seed)
        with task.context():
            for _ in range(request.iterations):
                rng.shuffle(order)
                for name in order:
                    with spans.hooked(task.model, passes[name], now) as seconds:
                        forwards_s[name] += timer.time(task.step, 1).host_s
                    for key, elapsed_s in seconds.items():
                        parts_s[key].append(elapsed_s)
        return StageSeconds(
            whole_s=tuple(forwards_s["whole"]),
            hooked_s=tuple(forwards_s["stages"]),
            pair_s=median(spans.hook_overheads_s(now)),
            parts=tuple(
                PartSeconds(stage=stage, branch=branch, seconds=tuple(seconds))
                for (stage, branch), seconds in parts_s.items()
                if seconds
            ),
        )


def _passes(parts: Sequence[StagePart]) -> dict[str, list[StagePart]]:
    """Return the parts that have hooks in each forward pass: stages, and branches if any."""
    passes = {"stages": [part for part in parts if not part.branch]}
    if branches := [part for part in parts if part.branch]:
        passes["branches"] = branches
    return passes


def run() -> None:
    """Serve requests, as a worker does."""
    worker.run(StagedWorker())


if __name__ == "__main__":
    die_with_parent(os.getppid())
    run()
