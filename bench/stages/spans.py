"""Spans: what runs between hooks on a network's modules, in seconds, part by part."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager

import torch
from torch import nn

from bench.stages.vocabulary import Key, Part

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


@contextmanager
def hooked(model: nn.Module, parts: Sequence[Part], now: Now) -> Iterator[dict[Key, float]]:
    """Seconds in each part of what ``model`` runs inside the block; no hook is left behind.

    A part begins before its first module and ends after its last; one that begins while another
    runs counts for that one. A part that was not called is not there.
    """
    seconds: dict[Key, float] = {}
    running: list[tuple[Part, float]] = []

    def begin(part: Part) -> Callable[..., None]:
        def before(*_given: object) -> None:
            if not running:
                running.append((part, now()))

        return before

    def end(part: Part) -> Callable[..., None]:
        def after(*_given: object) -> None:
            until = now()
            if running and running[0][0] is part:
                since = running.pop()[1]
                seconds[part.key] = seconds.get(part.key, 0.0) + until - since

        return after

    with ExitStack() as hooks:
        for part in parts:
            first, last = (model.get_submodule(part.modules[index]) for index in (0, -1))
            hooks.callback(first.register_forward_pre_hook(begin(part)).remove)
            hooks.callback(last.register_forward_hook(end(part)).remove)
        yield seconds


def pairs_on_nothing(now: Now) -> list[float]:
    """What pairs of hooks show of a module that does nothing: this much they add to a part."""
    network, nothing = nn.Sequential(nn.Identity()), torch.empty(0)
    part = Part(stage="nothing", modules=("0",))
    found = []
    for _ in range(PAIRS):
        with hooked(network, [part], now) as seconds:
            network(nothing)
        found.append(seconds[part.key])
    return found
