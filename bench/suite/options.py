"""The suite's options: what pytest is told."""

import argparse

import pytest

from bench.cells import plan
from bench.machine import environment
from bench.machine.nvml import PACKAGE
from bench.suite.profiles import PRECISION, PROFILES


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
        "--image-size",
        metavar="PIXELS",
        help=f"height and width of the images (default: {plan.IMAGE_SIZE})",
    )
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
    group.addoption("--sets", metavar="N", help="sets of fresh workers, at least")
    group.addoption(
        "--rounds",
        metavar="N",
        help="rounds in a set, each of one visit to every worker (default: as many as take the "
        "time that starting the set took)",
    )
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
        f"{plan.MOST_FOREIGN_CPUS:g} at the most; with a container's quota of CPU time half of the "
        "cores that stay idle)",
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


def is_gate(config: pytest.Config) -> bool:
    """Whether head is to be held against a base."""
    return any(config.getoption(option) is not None for option in ("--base", "--base-python"))
