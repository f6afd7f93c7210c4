"""The plan of a run, from the options, with defaults from a profile."""

import argparse
import random
import shlex
from dataclasses import dataclass

import pytest

from bench.cells import plan
from bench.machine import environment
from bench.machine.memory_budget import free_host_bytes
from bench.names import RequestError, choose
from bench.suite import values
from bench.suite.profiles import PRECISION, PROFILES, REFERENCE_ARCH
from bench.units import GIB, in_gib

_OUTPUT_OPTIONS = ("--report-dir", "--junitxml", "--junit-xml", "--basetemp", "--benchmark-json")
PLAN = pytest.StashKey[plan.Plan]()


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


def profile_defaults(config: pytest.Config, otherwise: str = "default") -> Defaults:
    """Return the defaults of the profile that ``--profile`` names, or else of ``otherwise``."""
    chosen: str | None = config.getoption("--profile")
    name = otherwise if chosen is None else chosen
    profile = choose("profile", name, PROFILES)
    return Defaults(
        profile=name,
        archs=profile.archs,
        modes=profile.modes,
        batch_sizes=profile.batch_sizes(_device(config)),
        sets=profile.sets,
        extra_s=profile.extra_s,
        ceiling=profile.ceiling,
        energy=profile.energy,
    )


def make_plan(config: pytest.Config, defaults: Defaults | None = None) -> plan.Plan:
    """Return the plan that the options describe; raise ``RequestError`` if they are invalid."""
    fallback = defaults or profile_defaults(config)
    device = _device(config)
    budget_s, memory_gib = (
        values.positive(config, "--budget", " of seconds"),
        values.positive(config, "--memory", " of GiB"),
    )
    result = plan.Plan(
        cells=plan.cells(
            arch_names=values.listed(config, "--archs", str) or fallback.archs,
            mode_names=values.listed(config, "--modes", str) or fallback.modes,
            dtype_names=values.listed(config, "--dtypes", str) or fallback.dtypes,
            batch_sizes=values.listed(config, "--batch-sizes", int) or fallback.batch_sizes,
            task_names=values.listed(config, "--tasks", str) or fallback.tasks,
            device=device,
        ),
        image_size=values.at_least(1, config, "--image-size", plan.IMAGE_SIZE),
        l2=plan.l2(config.getoption("--l2"), device),
        devices=plan.devices(device),
        sets=values.at_least(1, config, "--sets", fallback.sets),
        rounds=values.optional_at_least(1, config, "--rounds"),
        precision=values.share(config, "--precision") or PRECISION,
        budget_s=budget_s,
        extra_s=fallback.extra_s if budget_s is None else budget_s,
        environment=_environment(config),
        foreign_cpus=values.positive(config, "--foreign-cpus")
        or plan.foreign_cpus(
            device, cores=environment.physical_cores(), allowed=environment.allowed_cores()
        ),
        memory_bytes=None if memory_gib is None else round(memory_gib * GIB),
        reference_arch=REFERENCE_ARCH,
        ceiling=_is_on(config, "--ceiling", fallback.ceiling),
        energy=_energy(config, device, fallback.energy),
        allow_shared=_allow_shared(config, device),
        profile=fallback.profile,
        command=command(config),
        fit=bool(config.getoption("--fit")),
        seed=values.at_least(0, config, "--seed", random.SystemRandom().randrange(2**31)),
    )
    if result.fit and not result.is_on_gpu:
        _check_memory_to_fit(result.memory_bytes, free_host_bytes())
    return result


def command(config: pytest.Config) -> str:
    """Return the command that repeats the run, without options that name output files."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument(*_OUTPUT_OPTIONS)
    _, arguments = parser.parse_known_args(
        [str(argument) for argument in config.invocation_params.args]
    )
    return shlex.join(["pytest", *arguments])


def _energy(config: pytest.Config, device: str, default: bool) -> bool:
    if config.getoption("--energy") and not device.startswith("cuda"):
        raise RequestError(f"--energy needs a CUDA device; {device} has no energy counter")
    return _is_on(config, "--energy", default) and device.startswith("cuda")


def _allow_shared(config: pytest.Config, device: str) -> bool:
    allowed = bool(config.getoption("--allow-shared"))
    if allowed and not device.startswith("cuda"):
        raise RequestError(
            f"--allow-shared applies only to CUDA devices, and this run uses {device}; use "
            "--foreign-cpus to set how many CPUs other processes may keep busy"
        )
    return allowed


def _check_memory_to_fit(limit_bytes: int | None, free_bytes: int) -> None:
    """Raise ``RequestError`` if searching a CPU's largest batch could exhaust the memory.

    The search doubles a batch that fits, so the first that does not may take twice the limit.
    """
    if limit_bytes is None:
        raise RequestError(
            "--fit needs --memory GIB on a CPU: without a limit, larger batches fit until the "
            "system has no free memory left"
        )
    if 2 * limit_bytes > free_bytes:
        raise RequestError(
            f"--fit tries batches of up to twice --memory, and {in_gib(limit_bytes)} is "
            f"more than half of the free {in_gib(free_bytes)}; give a smaller --memory"
        )


def _is_on(config: pytest.Config, option: str, default: bool) -> bool:
    chosen: bool | None = config.getoption(option)
    return default if chosen is None else chosen


def _device(config: pytest.Config) -> str:
    return plan.device(config.getoption("--device"), several=True)


def _environment(config: pytest.Config) -> str:
    name: str = config.getoption("--environment")
    choose("environment", name, environment.NAMES)
    return name
