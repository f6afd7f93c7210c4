"""The suite's command-line options for pytest."""

import argparse

import pytest

from bench.cells import plan
from bench.machine import environment
from bench.machine.nvml import PACKAGE
from bench.suite.profiles import PRECISION, PROFILES


def add(parser: pytest.Parser) -> None:
    """Add the suite's options, in their own group."""
    group = parser.getgroup("googlenet-bench", "googlenet-bench: what to measure, and how")
    group.addoption(
        "--profile",
        metavar="NAME",
        help="what to measure unless other options say so: "
        + "; ".join(f"{name}: {profile.what}" for name, profile in PROFILES.items())
        + " (default: default; for a gate, quick)",
    )
    for option, text in (
        ("--archs", "registered names (googlenet-bench archs), torchvision:NAME, module:factory"),
        ("--modes", "tokens joined by +, such as compile+channels_last (googlenet-bench modes)"),
        ("--dtypes", "fp32 and bf16; on CUDA also tf32 and fp16 (default: fp32)"),
        ("--batch-sizes", "images per batch"),
        ("--tasks", "infer, train (default: infer)"),
    ):
        group.addoption(option, metavar="A,B,…", help=f"{text}; separated by commas")
    group.addoption(
        "--image-size",
        metavar="PIXELS",
        help=f"height and width of the images (default: {plan.IMAGE_SIZE})",
    )
    group.addoption(
        "--device",
        help="cpu, cuda, cuda:N, or cuda:all, which runs each set on the next of this machine's "
        "devices (default: cuda if the machine has a CUDA device)",
    )
    group.addoption(
        "--l2",
        metavar="STATE",
        help="state of a GPU's L2 cache before an iteration; "
        + "; ".join(f"{name}: {what}" for name, what in plan.L2.items())
        + " (default: cold on CUDA, as when serving images; a CPU supports only warm)",
    )
    group.addoption("--sets", metavar="N", help="least number of sets, each with fresh workers")
    group.addoption(
        "--rounds",
        metavar="N",
        help="rounds per set, each with one visit to every worker (default: as many as fit in the "
        "time that starting the set took)",
    )
    group.addoption(
        "--precision",
        metavar="SHARE",
        help="add sets until the half-width of every ratio's 95 %% interval is at most this "
        f"(default: {PRECISION}; 1 adds no sets)",
    )
    group.addoption(
        "--budget",
        metavar="SECONDS",
        help="start no round later than this after the start of the first set; sets for "
        "--precision may use all of it (default: complete every set of --sets, then add sets for "
        "as long as the profile allows)",
    )
    group.addoption(
        "--ceiling",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="first measure the device's peak performance in each dtype, 3 s each, and show "
        "every cell's share of it (default: the profile's choice; on for all except quick)",
    )
    group.addoption(
        "--energy",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="measure a CUDA device's energy per image, 2.5 s per cell and set; needs "
        f"{PACKAGE} (default on CUDA: the profile's choice; on for default and full)",
    )
    group.addoption(
        "--allow-shared",
        action="store_true",
        help="measure even if other processes use the CUDA device, and say so in the report "
        "(default: refuse)",
    )
    group.addoption(
        "--fit",
        action="store_true",
        help="first find the largest batch that fits in memory, for each arch, mode, dtype and "
        "task: alone on the device, or on a CPU within --memory; accurate to 1/32; each search "
        "takes some 10 to 20 fresh workers, and every one compiles if the mode does",
    )
    group.addoption(
        "--resume",
        action="store_true",
        help="continue the interrupted run from its journal in the report folder",
    )
    group.addoption(
        "--environment",
        metavar="NAME",
        default="pinned",
        help="environment of the workers; "
        + "; ".join(f"{name}: {what}" for name, what in environment.NAMES.items())
        + " (default: pinned)",
    )
    group.addoption(
        "--foreign-cpus",
        metavar="CPUS",
        help="void a round in which other processes keep more CPUs busy than this "
        f"(default: {plan.FOREIGN_CPUS}; on CUDA half of the cores beyond {plan.HOST_CORES}, but "
        f"at most {plan.MOST_FOREIGN_CPUS:g}; in a container with a CPU quota half of the cores "
        "that stay idle)",
    )
    group.addoption(
        "--memory",
        metavar="GIB",
        help="memory limit for all workers of a wave together (default: the free memory)",
    )
    group.addoption(
        "--seed",
        metavar="N",
        help="seed of the weights, the images and the order of visits (default: random)",
    )
    group.addoption(
        "--report-dir", metavar="DIR", help="folder of the reports (default: reports/<machine>)"
    )


def is_gate(config: pytest.Config) -> bool:
    """Whether the options ask for a gate, which compares head with a base."""
    return any(config.getoption(option) is not None for option in ("--base", "--base-python"))
