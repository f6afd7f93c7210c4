"""The suite's options: what pytest is told, and the plan that it makes."""

import argparse
import random
import shlex
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import pytest

from bench.cells import plan
from bench.machine import environment
from bench.machine.nvml import PACKAGE
from bench.machine.room import free_host_bytes
from bench.names import RequestError, choose, listed
from bench.suite.profiles import PRECISION, PROFILES, REFERENCE_ARCH

Value = TypeVar("Value")
PLAN = pytest.StashKey[plan.Plan]()


def add(parser: pytest.Parser) -> None:
    """Add every option, in a group of its own."""
    group = parser.getgroup("googlenet-bench", "googlenet-bench: what to measure, and how")
    group.addoption(
        "--profile",
        metavar="NAME",
        help="what to measure where the other options leave it open: "
        + "; ".join(f"{name}: {profile.what}" for name, profile in PROFILES.items())
        + " (default: default; of a gate, quick)",
    )
    for option, text in (
        ("--archs", "registered names (googlenet-bench archs), torchvision:NAME, module:factory"),
        ("--modes", "tokens joined by +, such as compile+channels_last (googlenet-bench modes)"),
        ("--dtypes", "fp32 and bf16; on CUDA tf32 and fp16 too (default: fp32)"),
        ("--batch-sizes", "images a batch"),
        ("--tasks", "infer, train (default: infer)"),
    ):
        group.addoption(option, metavar="A,B,…", help=f"{text}; separated by commas")
    group.addoption(
        "--device",
        help="cpu, cuda, cuda:N, or cuda:all to deal sets out to all devices of this machine, one "
        "after the other (default: cuda where there is one)",
    )
    group.addoption(
        "--l2",
        metavar="STATE",
        help="how iterations find a GPU's L2 cache; "
        + "; ".join(f"{name}: {what}" for name, what in plan.L2.items())
        + " (default: cold on CUDA, as images that are served; a CPU takes warm only)",
    )
    group.addoption("--sets", metavar="N", help="sets of fresh workers, at the least")
    group.addoption("--rounds", metavar="N", help="visits to each worker in a set")
    group.addoption(
        "--precision",
        metavar="SHARE",
        help="add sets until the 95 %% interval of every ratio reaches this far to each side "
        f"(default: {PRECISION}; 1 adds none)",
    )
    group.addoption(
        "--budget",
        metavar="SECONDS",
        help="begin no round later than this after the first set began, and use it all for "
        "--precision where that is needed (default: every set of --sets whole, and as long as the "
        "profile allows for more)",
    )
    group.addoption(
        "--ceiling",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="measure first what the device does at the most in each dtype, 3 s each, and show "
        "every cell's share of it (default: the profile's; all but quick do)",
    )
    group.addoption(
        "--energy",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="measure what a CUDA device takes for an image, 2.5 s a cell and set, with "
        f"{PACKAGE} installed (default on CUDA: the profile's; default and full do)",
    )
    group.addoption(
        "--allow-shared",
        action="store_true",
        help="measure on a CUDA device that others use, too; the report says so (default: refuse)",
    )
    group.addoption(
        "--fit",
        action="store_true",
        help="look first for the largest batch that each arch, mode, dtype and task finds memory "
        "for: alone on the device, or on a CPU in --memory; to a thirty-second, in some 10 to 20 "
        "fresh workers each, every one of which compiles where the mode does",
    )
    group.addoption(
        "--resume",
        action="store_true",
        help="go on with the run that was cut off, from its journal in the report folder",
    )
    group.addoption(
        "--environment",
        metavar="NAME",
        default="pinned",
        help="what workers start with; "
        + "; ".join(f"{name}: {what}" for name, what in environment.NAMES.items())
        + " (default: pinned)",
    )
    group.addoption(
        "--foreign-cpus",
        metavar="CPUS",
        help="void a round in which other processes keep more CPUs busy than this "
        f"(default: {plan.FOREIGN_CPUS}; on CUDA half of the cores beyond {plan.HOST_CORES}, and "
        f"{plan.MOST_FOREIGN_CPUS:g} at the most)",
    )
    group.addoption(
        "--memory",
        metavar="GIB",
        help="what all workers that are alive together may hold (default: what is free)",
    )
    group.addoption("--seed", metavar="N", help="of weights, images and the order of visits")
    group.addoption(
        "--report-dir", metavar="DIR", help="where reports go (default: reports/<machine>)"
    )


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
    rounds: int
    extra_s: float
    ceiling: bool = False
    energy: bool = False


def of_profile(config: pytest.Config, otherwise: str = "default") -> Defaults:
    """What a profile measures: the one that was asked for, or else the one named."""
    name: str = config.getoption("--profile") or otherwise
    profile = choose("profile", name, PROFILES)
    return Defaults(
        profile=name,
        archs=profile.archs,
        modes=profile.modes,
        batch_sizes=profile.batch_sizes(_device(config)),
        sets=profile.sets,
        rounds=profile.rounds,
        extra_s=profile.extra_s,
        ceiling=profile.ceiling,
        energy=profile.energy,
    )


def make_plan(config: pytest.Config, defaults: Defaults | None = None) -> plan.Plan:
    """The plan that the options ask for; raises ``RequestError`` where they ask for nonsense."""
    given = defaults or of_profile(config)
    device = _device(config)
    budget_s, memory_gib = (
        positive(config, "--budget", " of seconds"),
        positive(config, "--memory", " of GiB"),
    )
    made = plan.Plan(
        cells=plan.cells(
            arch_names=_listed(config, "--archs", str) or given.archs,
            mode_names=_listed(config, "--modes", str) or given.modes,
            dtype_names=_listed(config, "--dtypes", str) or given.dtypes,
            batch_sizes=_listed(config, "--batch-sizes", int) or given.batch_sizes,
            task_names=_listed(config, "--tasks", str) or given.tasks,
            device=device,
        ),
        l2=plan.l2(config.getoption("--l2"), device),
        devices=plan.devices(device),
        sets=at_least(1, config, "--sets", given.sets),
        rounds=at_least(1, config, "--rounds", given.rounds),
        precision=positive(config, "--precision") or PRECISION,
        budget_s=budget_s,
        extra_s=given.extra_s if budget_s is None else budget_s,
        environment=_environment(config),
        foreign_cpus=positive(config, "--foreign-cpus")
        or plan.foreign_cpus(device, environment.physical_cores()),
        memory_bytes=None if memory_gib is None else round(memory_gib * 2**30),
        reference_arch=REFERENCE_ARCH,
        ceiling=_is_on(config, "--ceiling", given.ceiling),
        energy=_energy(config, device, given.energy),
        allow_shared=_allow_shared(config, device),
        profile=given.profile,
        command=command(config),
        fit=bool(config.getoption("--fit")),
        seed=at_least(0, config, "--seed", random.SystemRandom().randrange(2**31)),
    )
    if made.fit and not made.is_on_gpu:
        _check_memory_to_fit(made.memory_bytes, free_host_bytes())
    return made


def is_gate(config: pytest.Config) -> bool:
    """Whether head is to be held against a base."""
    return any(config.getoption(option) is not None for option in ("--base", "--base-python"))


def report_folder(config: pytest.Config, machine: str) -> Path:
    """Where the reports of a run on ``machine`` go."""
    given = config.getoption("--report-dir")
    if given:
        return Path(given)
    folder = config.rootpath / "reports" / machine
    return folder / "gate" if is_gate(config) else folder


def check_report_folder(config: pytest.Config) -> None:
    """Refuse a report folder that cannot be written before anything is measured for it."""
    given = config.getoption("--report-dir")
    if given is None:
        return
    try:
        Path(given).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=given):
            pass
    except OSError as error:
        raise RequestError(f"--report-dir {given} cannot be written: {error.strerror}") from error


def command(config: pytest.Config) -> str:
    """The command that a reader can type to make such a run again."""
    return shlex.join(["pytest", *map(str, config.invocation_params.args)])


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
            f"--fit tries batches of up to twice --memory, and {limit_bytes / 2**30:.1f} GiB is "
            f"more than half of the {free_bytes / 2**30:.1f} GiB that are free"
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


def _listed(
    config: pytest.Config, option: str, convert: Callable[[str], Value]
) -> tuple[Value, ...] | None:
    """The values of a comma-separated option; None where it was not given."""
    text = config.getoption(option)
    if text is None:
        return None
    return tuple(_converted(part, convert, option) for part in listed(text, option))


def at_least(least: int, config: pytest.Config, option: str, default: int) -> int:
    """A whole number that an option takes; raises ``RequestError`` for one that is too small."""
    text = config.getoption(option)
    value = default if text is None else _converted(text, int, option)
    if value < least:
        raise RequestError(f"{option} must be at least {least}, not {value}")
    return value


def positive(config: pytest.Config, option: str, unit: str = "") -> float | None:
    """A positive number that an option takes; None where it was not given."""
    text = config.getoption(option)
    if text is None:
        return None
    value = _converted(text, float, option)
    if not 0 < value < float("inf"):
        raise RequestError(f"{option} must be a positive number{unit}, not {text}")
    return value


def _converted(text: str, convert: Callable[[str], Value], option: str) -> Value:
    try:
        return convert(text)
    except ValueError:
        kind = "a whole number" if convert is int else "a number"
        raise RequestError(f"{option} takes {kind}, not {text!r}") from None
