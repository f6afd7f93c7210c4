"""Spans: the time between hooks on a network's modules, for each part, in seconds."""

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

import torch
from torch import nn

from bench.stages.vocabulary import Key, StagePart
from bench.worker import attribution
from bench.worker.attribution import attributed

Now = Callable[[], float]
PAIRS = 101  # pairs of hooks on an empty module; odd, so that the median is the 51st


def instant(device: torch.device) -> Now:
    """Return the host's clock, in seconds; on CUDA, it first waits for all work of the device."""
    if device.type != "cuda":
        return time.perf_counter

    def synchronised() -> float:
        torch.cuda.synchronize(device)
        return time.perf_counter()

    return synchronised


def hooked(
    model: nn.Module, parts: Sequence[StagePart], now: Now
) -> AbstractContextManager[dict[Key, float]]:
    """Measure the seconds in each part of ``model`` inside the block (worker/attribution.py)."""
    return attributed(modules(model, parts), now)


def modules(model: nn.Module, parts: Sequence[StagePart]) -> dict[Key, attribution.ModuleSpan]:
    """Return the first and the last module of each part."""
    by_name = dict(model.named_modules(remove_duplicate=False))  # TorchScript has no get_submodule
    return {
        part.key: attribution.ModuleSpan(*(by_name[part.modules[at]] for at in (0, -1)))
        for part in parts
    }


def hook_overheads_s(now: Now) -> list[float]:
    """Return the seconds that pairs of hooks measure on an empty module, and add to every part."""
    network, x = nn.Sequential(nn.Identity()), torch.empty(0)
    part = StagePart(stage="empty", modules=("0",))
    overheads_s = []
    for _ in range(PAIRS):
        with hooked(network, [part], now) as seconds:
            network(x)
        overheads_s.append(seconds[part.key])
    return overheads_s
