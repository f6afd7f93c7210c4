"""Spans: what runs between hooks on a network's modules, in seconds, part by part."""

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

import torch
from torch import nn

from bench.stages.vocabulary import Key, StagePart
from bench.worker import attribution
from bench.worker.attribution import attributed

Now = Callable[[], float]
PAIRS = 101  # of hooks on nothing: their median is the 51st


def instant(device: torch.device) -> Now:
    """Host time in seconds; on CUDA when everything asked of the device is done, and not before."""
    if device.type != "cuda":
        return time.perf_counter

    def synchronised() -> float:
        torch.cuda.synchronize(device)
        return time.perf_counter()

    return synchronised


def hooked(
    model: nn.Module, parts: Sequence[StagePart], now: Now
) -> AbstractContextManager[dict[Key, float]]:
    """Seconds in each part of what ``model`` runs inside the block (worker/attribution.py)."""
    return attributed(modules(model, parts), now)


def modules(model: nn.Module, parts: Sequence[StagePart]) -> dict[Key, attribution.ModuleSpan]:
    """The first and the last module of each part."""
    named = dict(model.named_modules(remove_duplicate=False))  # TorchScript has no get_submodule
    return {
        part.key: attribution.ModuleSpan(*(named[part.modules[at]] for at in (0, -1)))
        for part in parts
    }


def pairs_on_nothing(now: Now) -> list[float]:
    """What pairs of hooks show of a module that does nothing: this much they add to a part."""
    network, nothing = nn.Sequential(nn.Identity()), torch.empty(0)
    part = StagePart(stage="nothing", modules=("0",))
    found = []
    for _ in range(PAIRS):
        with hooked(network, [part], now) as seconds:
            network(nothing)
        found.append(seconds[part.key])
    return found
