"""The plan of a run, from a request, with defaults from a profile."""

import random
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from bench import metrics
from bench.api import accuracies, clusters
from bench.api.measure_request import MeasureRequest
from bench.api.profiles import PRECISION, PROFILES, REFERENCE_ARCH
from bench.archs.source import Accuracy
from bench.cells import plan, plan_values
from bench.errors import RequestError
from bench.machine import cores, pinned
from bench.machine.memory_budget import free_host_bytes
from bench.names import choose
from bench.units import GIB, counted, in_gib

Value = TypeVar("Value")
MANY_CELLS = 20
# A cell takes this long in each set: to start a worker, check the answer, warm up and measure. It
# was measured with GoogLeNet's variants on two cores (30 ms in eager), from a warm cache.
CELL_S = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Defaults:
    """Values for options that are not given."""

    profile: str
    archs: tuple[str, ...]
    modes: tuple[str, ...]
    dtypes: tuple[str, ...] = ("fp32",)
    batch_sizes: tuple[int, ...]
    tasks: tuple[str, ...] = ("infer",)
    sets: int
    extra_s: float
    ceiling: bool = False
    energy: bool = False


def profile_defaults(request: MeasureRequest, otherwise: str = "default") -> Defaults:
    """Return the defaults of the profile that the request names, or else of ``otherwise``."""
    name = otherwise if request.profile is None else request.profile
    profile = choose("profile", name, PROFILES)
    return Defaults(
        profile=name,
        archs=profile.archs,
        modes=profile.modes,
        batch_sizes=profile.batch_sizes(_device(request)),
        sets=profile.sets,
        extra_s=profile.extra_s,
        ceiling=profile.ceiling,
        energy=profile.energy,
    )


def make_plan(
    request: MeasureRequest, defaults: Defaults | None = None, *, command: str = ""
) -> plan.Plan:
    """Return the plan of a request; ``command`` is what repeats the run.

    Raises ``RequestError`` if the request is invalid.
    """
    clusters.check(request)
    fallback = defaults or profile_defaults(request)
    device = _device(request)
    choose("environment", request.environment, pinned.NAMES)
    default_foreign_cpus = _default_foreign_cpus(request, device)
    result = plan.Plan(
        cells=plan_values.cells(
            arch_names=_or(request.archs, fallback.archs),
            mode_names=_or(request.modes, fallback.modes),
            dtype_names=_or(request.dtypes, fallback.dtypes),
            batch_sizes=_or(request.batch_sizes, fallback.batch_sizes),
            task_names=_or(request.tasks, fallback.tasks),
            device=device,
        ),
        image_size=request.image_size,
        input_shape=request.input_shape,
        l2=plan_values.l2(request.l2, device),
        devices=plan_values.devices(device),
        sets=_or(request.sets, fallback.sets),
        rounds=request.rounds,
        precision=_or(request.precision, PRECISION),
        budget_s=request.budget,
        extra_s=_or(request.budget, fallback.extra_s),
        environment=request.environment,
        foreign_cpus=request.foreign_cpus or default_foreign_cpus,
        default_foreign_cpus=default_foreign_cpus,
        memory_bytes=None if request.memory is None else round(request.memory * GIB),
        reference_arch=REFERENCE_ARCH,
        ceiling=_or(request.ceiling, fallback.ceiling),
        energy=_energy(request, device, default=fallback.energy),
        operators=request.operators,
        allow_shared=_allow_shared(request, device),
        profile=fallback.profile,
        command=command,
        fit=request.fit,
        front=metrics.chosen_axes(_or(request.front, plan.FRONT)),
        seed=_or(request.seed, random.SystemRandom().randrange(2**31)),
    )
    if result.fit and not result.is_on_gpu:
        free_bytes = None if clusters.is_remote(request) else free_host_bytes()
        _check_memory_to_fit(result.memory_bytes, free_bytes)
    return with_accuracies(result, accuracies.configured(Path.cwd()))


def with_accuracies(made: plan.Plan, own: Mapping[str, Accuracy]) -> plan.Plan:
    """Return a plan with those of the user's accuracies that are of its archs, in addition.

    The others are left out, so that a run can be resumed after they have changed.
    """
    archs = {cell.arch for cell in made.cells}
    added = {arch: each for arch, each in own.items() if arch in archs}
    return replace(made, accuracies={**made.accuracies, **added})


def announcement(made: plan.Plan) -> str:
    """Return a sentence on how long a plan of many cells takes; empty for one of few."""
    if len(made.cells) < MANY_CELLS:
        return ""
    names = len({cell.arch for cell in made.cells})
    return f"{counted(len(made.cells), 'cell')} of {counted(names, 'network')}: {estimate(made)}"


def estimate(made: plan.Plan) -> str:
    """Return how long the sets of a plan take, as a sentence without its full stop."""
    seconds = made.sets * CELL_S * (len(made.cells) + len(made.groups))
    return (
        f"{counted(made.sets, 'set')} {'takes' if made.sets == 1 else 'take'} roughly "
        f"{duration(seconds)} if an iteration takes 30 ms, and longer for slower networks and with "
        "an empty compilation cache"
    )


def duration(seconds: float) -> str:
    """Return a rough duration: ``40 seconds`` or ``4 minutes``."""
    if seconds < 90:
        return counted(max(1, round(seconds)), "second")
    return counted(round(seconds / 60), "minute")


def _or(chosen: Value | None, default: Value) -> Value:
    return default if chosen is None else chosen


def _device(request: MeasureRequest) -> str:
    if clusters.is_remote(request):
        return plan_values.device_elsewhere(request.device)
    return plan_values.device(request.device, several=True)


def _default_foreign_cpus(request: MeasureRequest, device: str) -> float:
    """Return how many CPUs others may keep busy; the number of a node's cores is not known."""
    if clusters.is_remote(request):
        return plan_values.FOREIGN_CPUS if device == "cpu" else plan_values.MOST_FOREIGN_CPUS
    return plan_values.foreign_cpus(
        device, cores=cores.physical_cores(), allowed=cores.allowed_cores()
    )


def _energy(request: MeasureRequest, device: str, *, default: bool) -> bool:
    on_gpu = device.startswith("cuda")
    if request.energy and not on_gpu:
        raise RequestError(f"--energy needs a CUDA device; {device} has no energy counter")
    return _or(request.energy, default) and on_gpu


def _allow_shared(request: MeasureRequest, device: str) -> bool:
    if request.allow_shared and not device.startswith("cuda"):
        raise RequestError(
            f"--allow-shared applies only to CUDA devices, and this run uses {device}; use "
            "--foreign-cpus to set how many CPUs other processes may keep busy"
        )
    return request.allow_shared


def _check_memory_to_fit(limit_bytes: int | None, free_bytes: int | None) -> None:
    """Raise ``RequestError`` if searching a CPU's largest batch could exhaust the memory.

    The search doubles a batch that fits, so the first that does not may take twice the limit.
    ``free_bytes`` is None if it is unknown.
    """
    if limit_bytes is None:
        raise RequestError(
            "--fit needs --memory GIB on a CPU: without a limit, larger batches fit until the "
            "system has no free memory left"
        )
    if free_bytes is not None and 2 * limit_bytes > free_bytes:
        raise RequestError(
            f"--fit tries batches of up to twice --memory, and {in_gib(limit_bytes)} is "
            f"more than half of the free {in_gib(free_bytes)}; give a smaller --memory"
        )
