"""A worker that also tells what each stage of its network, and each branch of a stage, takes."""

import os
import random
from collections.abc import Sequence
from statistics import median
from typing import Any

import torch

from bench.cells import archs, inputs
from bench.cells.module import to_eval
from bench.stages import partition, spans
from bench.stages.vocabulary import Key, StagePart
from bench.worker import clock, network
from bench.worker.attribution import attributed
from bench.worker.mac_counter import MacCounter
from bench.worker.parent_death import die_with_parent
from bench.worker.worker import Operation, Worker, run


class StagedWorker(Worker):
    """A worker that can be asked what happens inside its network."""

    def operations(self) -> dict[str, Operation]:
        """A worker's, and two more."""
        return {**super().operations(), "stage_macs": self.stage_macs, "stages": self.stages}

    def stage_macs(self, arch: str, image_size: int, seed: int) -> dict[str, Any]:
        """MACs of an arch for one random image: of the whole, and of each stage and branch.

        They are split as seconds are, by the calls of modules, branches in a forward of their own.
        """
        torch.manual_seed(seed)
        model = to_eval(network.build(archs.find(arch), aux=False, image_size=image_size))
        image = inputs.random_images(1, image_size)
        parts = partition.split(model)
        whole, macs = 0, dict[Key, int]()
        for passed in _passes(parts).values():
            with (
                MacCounter() as counter,
                attributed(spans.modules(model, passed), lambda: counter.macs) as found,
            ):
                model(image.clone())
            whole, macs = counter.macs, {**macs, **found}
        return {
            "whole": whole,
            "parts": [
                {"stage": part.stage, "branch": part.branch, "macs": macs.get(part.key, 0)}
                for part in parts
            ],
        }

    def stages(self, iterations: int, seed: int) -> dict[str, Any]:
        """Seconds of forwards without hooks, with hooks on stages, and with hooks on branches.

        Each iteration is one of each, in an order of chance. Branches have forwards of their own,
        so that their hooks are in no stage's time.
        """
        task = self._ready().task
        whole, now = clock.for_device(self.device), spans.instant(self.device)
        parts = partition.split(task.model)
        passes = {"whole": [], **_passes(parts)}
        forwards_s: dict[str, list[float]] = {name: [] for name in passes}
        parts_s: dict[Key, list[float]] = {part.key: [] for part in parts}
        order, drawn = list(passes), random.Random(seed)
        with task.context():
            for _ in range(iterations):
                drawn.shuffle(order)
                for name in order:
                    with spans.hooked(task.model, passes[name], now) as seconds:
                        forwards_s[name] += whole.time(task.step, 1).host_s
                    for key, spent in seconds.items():
                        parts_s[key].append(spent)
        return {
            "whole_s": forwards_s["whole"],
            "hooked_s": forwards_s["stages"],
            "pair_s": median(spans.pairs_on_nothing(now)),
            "parts": [
                {"stage": stage, "branch": branch, "seconds": found}
                for (stage, branch), found in parts_s.items()
                if found
            ],
        }


def _passes(parts: Sequence[StagePart]) -> dict[str, list[StagePart]]:
    """The parts that have hooks in one forward: the stages, and where there are any branches."""
    passes = {"stages": [part for part in parts if not part.branch]}
    if branches := [part for part in parts if part.branch]:
        passes["branches"] = branches
    return passes


if __name__ == "__main__":
    die_with_parent(os.getppid())
    run(StagedWorker())
