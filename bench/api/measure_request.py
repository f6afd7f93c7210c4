"""The request for a run: every option of measuring, with its default and its help text."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.api import values
from bench.api.option import option
from bench.api.profiles import PRECISION, PROFILES
from bench.archs import HOW_TO_NAME
from bench.archs.source import IMAGE_SIZE, Shape
from bench.cells.plan_values import FOREIGN_CPUS, HOST_CORES, L2, MOST_FOREIGN_CPUS
from bench.engine.hosts import HOSTS, LOCAL, SLURM_JOBS
from bench.machine import pinned
from bench.machine.card import PACKAGE

WHAT = "what to measure"
HOW_LONG = "how long, and how precisely"
MACHINE = "the machine"
REPORT = "the report"
_LIST = "A,B,…"
_NAMES = values.listed(values.text)


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasureRequest:
    """What to measure, and how; None leaves the choice to the profile or to the machine."""

    profile: str | None = option(
        "what to measure unless other options say so: "
        + "; ".join(f"{name}: {profile.what}" for name, profile in PROFILES.items())
        + " (default: default; for a gate, quick)",
        metavar="NAME",
        group=WHAT,
    )
    archs: Sequence[str] | None = option(
        f"{HOW_TO_NAME}; separated by commas",
        metavar=_LIST,
        parse=_NAMES,
        group=WHAT,
    )
    modes: Sequence[str] | None = option(
        "tokens joined by +, such as compile+channels_last (googlenet-bench modes); separated by "
        "commas",
        metavar=_LIST,
        parse=_NAMES,
        group=WHAT,
    )
    dtypes: Sequence[str] | None = option(
        "fp32 and bf16; on CUDA also tf32 and fp16 (default: fp32); separated by commas",
        metavar=_LIST,
        parse=_NAMES,
        group=WHAT,
    )
    batch_sizes: Sequence[int] | None = option(
        "images per batch; separated by commas",
        metavar=_LIST,
        parse=values.listed(values.whole_number),
        group=WHAT,
    )
    tasks: Sequence[str] | None = option(
        "infer, train (default: infer); separated by commas",
        metavar=_LIST,
        parse=_NAMES,
        group=WHAT,
    )
    image_size: int | None = option(
        "height and width of the images of all networks whose names do not say it (default: what "
        f"each network is made for, mostly {IMAGE_SIZE})",
        metavar="PIXELS",
        parse=values.at_least(1),
        group=WHAT,
    )
    input_shape: Shape | None = option(
        "channels, height and width of the images of networks that do not say what they take: your "
        "own without image_size and example_inputs (docs/networks.md)",
        metavar="CxHxW",
        parse=values.shape,
        group=WHAT,
    )
    fit: bool = option(
        "first find the largest batch that fits in memory, for each arch, mode, dtype and task: "
        "alone on the device, or on a CPU within --memory; accurate to 1/32; each search takes "
        "some 10 to 20 fresh workers, and every one compiles if the mode does",
        parse=values.switch,
        default=False,
        group=WHAT,
    )
    ceiling: bool | None = option(
        "first measure the device's peak performance in each dtype, 3 s each, and show every "
        "cell's share of it (default: the profile's choice; on for all except quick)",
        parse=values.switch,
        group=WHAT,
    )
    energy: bool | None = option(
        "measure a CUDA device's energy per image, 2.5 s per cell and set; needs "
        f"{PACKAGE} (default on CUDA: the profile's choice; on for default and full)",
        parse=values.switch,
        group=WHAT,
    )
    operators: bool = option(
        "after the first set, profile each cell's operators with its library's own profiler, some "
        "seconds per cell, and show where the time goes",
        parse=values.switch,
        default=False,
        group=WHAT,
    )
    seed: int | None = option(
        "seed of the weights, the images and the order of visits (default: random)",
        metavar="N",
        parse=values.at_least(0),
        group=WHAT,
    )
    sets: int | None = option(
        "least number of sets, each with fresh workers",
        metavar="N",
        parse=values.at_least(1),
        group=HOW_LONG,
    )
    rounds: int | None = option(
        "rounds per set, each with one visit to every worker (default: as many as fit in the time "
        "that starting the set took)",
        metavar="N",
        parse=values.at_least(1),
        group=HOW_LONG,
    )
    precision: float | None = option(
        "add sets until the half-width of every ratio's 95 % interval is at most this (default: "
        f"{PRECISION}; 1 adds no sets)",
        metavar="SHARE",
        parse=values.share,
        group=HOW_LONG,
    )
    budget: float | None = option(
        "start no round later than this after the start of the first set; sets for --precision may "
        "use all of it (default: complete every set of --sets, then add sets for as long as the "
        "profile allows)",
        metavar="SECONDS",
        parse=values.positive(" of seconds"),
        group=HOW_LONG,
    )
    device: str | None = option(
        "cpu, cuda, cuda:N, or cuda:all, which runs each set on the next of this machine's devices "
        "(default: cuda if the machine has a CUDA device)",
        group=MACHINE,
    )
    l2: str | None = option(
        "state of a GPU's L2 cache before an iteration; "
        + "; ".join(f"{name}: {what}" for name, what in L2.items())
        + " (default: cold on CUDA, as when serving images; a CPU supports only warm)",
        metavar="STATE",
        group=MACHINE,
    )
    environment: str = option(
        "environment of the workers; "
        + "; ".join(f"{name}: {what}" for name, what in pinned.NAMES.items())
        + " (default: pinned)",
        metavar="NAME",
        default="pinned",
        group=MACHINE,
    )
    memory: float | None = option(
        "memory limit for all workers of a wave together (default: the free memory)",
        metavar="GIB",
        parse=values.positive(" of GiB"),
        group=MACHINE,
    )
    foreign_cpus: float | None = option(
        "void a round in which other processes keep more CPUs busy than this (default: "
        f"{FOREIGN_CPUS}; on CUDA half of the cores beyond {HOST_CORES}, but at most "
        f"{MOST_FOREIGN_CPUS:g}; in a container with a CPU quota half of the cores that stay "
        "idle)",
        metavar="CPUS",
        parse=values.positive(),
        group=MACHINE,
    )
    allow_shared: bool = option(
        "measure even if other processes use the CUDA device, and say so in the report (default: "
        "refuse)",
        parse=values.switch,
        default=False,
        group=MACHINE,
    )
    hosts: str | None = option(
        "where sets are measured; "
        + "; ".join(f"{name}: {what}" for name, what in HOSTS.items())
        + f" (default: {LOCAL})",
        metavar="NAME",
        group=MACHINE,
    )
    ray_address: str | None = option(
        "address of the Ray cluster, for --hosts ray (default: auto, the cluster of this machine)",
        metavar="HOST:PORT",
        group=MACHINE,
    )
    ray_labels: Sequence[str] | None = option(
        "labels of the Ray nodes that measure, to choose one kind of machine; separated by commas",
        metavar="NAME=VALUE,…",
        parse=values.listed(values.setting),
        group=MACHINE,
    )
    slurm: Sequence[str] | None = option(
        "options of sbatch for every job, such as partition=gpu,time=120; separated by commas",
        metavar="NAME=VALUE,…",
        parse=values.listed(values.setting),
        group=MACHINE,
    )
    slurm_jobs: int | None = option(
        f"jobs of Slurm at the same time, each of which measures a set (default: {SLURM_JOBS})",
        metavar="N",
        parse=values.at_least(1),
        group=MACHINE,
    )
    report_dir: Path | str | None = option(
        "folder of the reports (default: reports/<machine>)",
        metavar="DIR",
        parse=values.folder,
        group=REPORT,
    )
    front: Sequence[str] | None = option(
        "what to set against accuracy in the reports: latency, throughput, macs, params or memory; "
        "separated by commas (default: latency)",
        metavar=_LIST,
        parse=_NAMES,
        group=REPORT,
    )
    resume: bool = option(
        "continue the interrupted run from its journal in the report folder",
        parse=values.switch,
        default=False,
        group=REPORT,
    )
