"""Time by operator from torch.profiler."""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from bench.executors.profiled import ITERATIONS, WARM_UP, Totals, to_profile
from bench.records.reported import OperatorProfile

if TYPE_CHECKING:
    from torch.profiler import profile as Profiler

    from bench.archs.source import Inputs

NAME = "torch.profiler"
# Operators that are given this share of the device's time or more have it all, up to rounding.
# Less means that kernels ran without an operator, as in a CUDA graph.
_ATTRIBUTED = 0.95
_ITERATIONS = "googlenet-bench: iterations"
_GRAPH = re.compile(r"## Call CompiledFxGraph \w+ ##")  # each graph has another hash


def profile(
    step: Callable[[], object],
    inputs: "Inputs",
    kinds: Callable[[Iterable[str]], Mapping[str, str]] = lambda _: {},
) -> OperatorProfile:
    """Return the time by operator of a step on these inputs.

    ``kinds`` gets the names that the profiler has, and returns those to be shown instead of some.

    On a CPU it is the time on the thread that calls the operators, which waits for the others. On
    CUDA it is the time of kernels, by the operator that launched them, or by kernel in a CUDA
    graph. The time of the iterations is the profiler's, too. By Python's clock, operators once had
    2 % more than all of it.
    """
    import torch

    on_device = inputs[0].is_cuda

    def steps(count: int) -> None:
        for _ in range(count):
            step()
        if on_device:
            torch.cuda.synchronize()

    with _profiler(on_device=on_device):
        steps(WARM_UP)
    with _profiler(on_device=on_device) as profiler, torch.profiler.record_function(_ITERATIONS):
        steps(ITERATIONS)
    averages = profiler.key_averages()
    wall_s = sum(entry.cpu_time_total for entry in averages if entry.key == _ITERATIONS) / 1e6
    entries = [entry for entry in averages if entry.key != _ITERATIONS]
    shown = kinds(entry.key for entry in entries)
    totals = _on_device(entries, shown) if on_device else _on_host(entries, shown)
    return to_profile(NAME, totals, wall_s)


def _profiler(*, on_device: bool) -> "Profiler":
    from torch.profiler import ProfilerActivity, profile

    activities = [ProfilerActivity.CPU]
    if on_device:
        activities.append(ProfilerActivity.CUDA)
    return profile(activities=activities)


def _on_host(entries: Any, shown: Mapping[str, str]) -> Totals:
    totals = Totals()
    for entry in entries:
        if entry.self_cpu_time_total > 0:
            totals.add(_named(entry.key, shown), entry.self_cpu_time_total / 1e6, entry.count)
    return totals


def _on_device(entries: Any, shown: Mapping[str, str]) -> Totals:
    """Return device times by operator; by kernel if operators have not all of the time."""
    by_operator, by_kernel = Totals(), Totals()
    for entry in entries:
        if entry.self_device_time_total > 0 and not entry.is_user_annotation:
            totals = by_operator if entry.device_type.name == "CPU" else by_kernel
            totals.add(_named(entry.key, shown), entry.self_device_time_total / 1e6, entry.count)
    return by_operator if by_operator.sum_s >= _ATTRIBUTED * by_kernel.sum_s else by_kernel


def _named(name: str, shown: Mapping[str, str]) -> str:
    """Return the name of an entry to show, the same for every graph that Inductor compiled."""
    return shown.get(name) or _GRAPH.sub("CompiledFxGraph", name)
