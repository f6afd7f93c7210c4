"""The plan that the options ask for, over what a profile measures where they leave it open."""

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

_PLACES = ("--report-dir", "--junitxml", "--junit-xml", "--basetemp", "--benchmark-json")
PLAN = pytest.StashKey[plan.Plan]()


@dataclass(frozen=True, slots=True, kw_only=True)
class Defaults:
    """What is measured where the options leave it open."""

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


def of_profile(config: pytest.Config, otherwise: str = "default") -> Defaults:
    """What a profile measures: the one that was asked for, or else the one named."""
    given: str | None = config.getoption("--profile")
    name = otherwise if given is None else given
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
    """The plan that the options ask for; raises ``RequestError`` where they ask for nonsense."""
    given = defaults or of_profile(config)
    device = _device(config)
    budget_s, memory_gib = (
        values.positive(config, "--budget", " of seconds"),
        values.positive(config, "--memory", " of GiB"),
    )
    made = plan.Plan(
        cells=plan.cells(
            arch_names=values.listed(config, "--archs", str) or given.archs,
            mode_names=values.listed(config, "--modes", str) or given.modes,
            dtype_names=values.listed(config, "--dtypes", str) or given.dtypes,
            batch_sizes=values.listed(config, "--batch-sizes", int) or given.batch_sizes,
            task_names=values.listed(config, "--tasks", str) or given.tasks,
            device=device,
        ),
        image_size=values.at_least(1, config, "--image-size", plan.IMAGE_SIZE),
        l2=plan.l2(config.getoption("--l2"), device),
        devices=plan.devices(device),
        sets=values.at_least(1, config, "--sets", given.sets),
        rounds=values.at_least_if_given(1, config, "--rounds"),
        precision=values.share(config, "--precision") or PRECISION,
        budget_s=budget_s,
        extra_s=given.extra_s if budget_s is None else budget_s,
        environment=_environment(config),
        foreign_cpus=values.positive(config, "--foreign-cpus")
        or plan.foreign_cpus(
            device, cores=environment.physical_cores(), allowed=environment.allowed_cores()
        ),
        memory_bytes=None if memory_gib is None else round(memory_gib * GIB),
        reference_arch=REFERENCE_ARCH,
        ceiling=_is_on(config, "--ceiling", given.ceiling),
        energy=_energy(config, device, given.energy),
        allow_shared=_allow_shared(config, device),
        profile=given.profile,
        command=command(config),
        fit=bool(config.getoption("--fit")),
        seed=values.at_least(0, config, "--seed", random.SystemRandom().randrange(2**31)),
    )
    if made.fit and not made.is_on_gpu:
        _check_memory_to_fit(made.memory_bytes, free_host_bytes())
    return made


def command(config: pytest.Config) -> str:
    """The command that a reader can type to make such a run again, wherever its files went."""
    places = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    places.add_argument(*_PLACES)
    _, others = places.parse_known_args([str(one) for one in config.invocation_params.args])
    return shlex.join(["pytest", *others])


def _energy(config: pytest.Config, device: str, default: bool) -> bool:
    if config.getoption("--energy") and not device.startswith("cuda"):
        raise RequestError(f"--energy is a CUDA device's; there is no such counter on {device}")
    return _is_on(config, "--energy", default) and device.startswith("cuda")


def _allow_shared(config: pytest.Config, device: str) -> bool:
    allowed = bool(config.getoption("--allow-shared"))
    if allowed and not device.startswith("cuda"):
        raise RequestError(
            f"--allow-shared is about a CUDA device, and this would be measured on {device}, where "
            "--foreign-cpus says what others may do"
        )
    return allowed


def _check_memory_to_fit(limit_bytes: int | None, free_bytes: int) -> None:
    """Refuse to look for a CPU's largest batch where that could use up the machine's memory.

    A batch that fits is doubled: the first that does not may hold twice the limit.
    """
    if limit_bytes is None:
        raise RequestError(
            "--fit needs --memory GIB on a CPU: without a limit a larger batch fits until the "
            "system has no memory left for anything else"
        )
    if 2 * limit_bytes > free_bytes:
        raise RequestError(
            f"--fit tries batches of up to twice --memory, and {in_gib(limit_bytes)} is "
            f"more than half of the {in_gib(free_bytes)} that are free"
        )


def _is_on(config: pytest.Config, option: str, default: bool) -> bool:
    given: bool | None = config.getoption(option)
    return default if given is None else given


def _device(config: pytest.Config) -> str:
    return plan.device(config.getoption("--device"), several=True)


def _environment(config: pytest.Config) -> str:
    name: str = config.getoption("--environment")
    choose("environment", name, environment.NAMES)
    return name
