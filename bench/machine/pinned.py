"""What is pinned in the workers: environment variables, and how cuDNN selects algorithms."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from bench.machine.cache_folder import cache_folder
from bench.machine.cores import physical_cores
from bench.names import choose


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """An environment variable that workers start with, and the reason for it."""

    name: str
    value: str | None
    """The value; None for the number of physical cores."""
    reason: str


SPIN_COUNT = "10000"

# Standard deviation of the log-ratio of two live workers with the same cell, GoogLeNet in eager at
# batch 1 on two cores, over 7 sets of 4 workers in each of 5 environments in turn: 1.0 % with these
# settings, 3.2 % without, 2.3 % with these if threads are also bound to cores.
_PINNED = (
    Setting(
        name="MALLOC_MMAP_THRESHOLD_",
        value=str(2**30),
        reason="blocks up to 1 GiB come from the heap: mapping new memory for each costs 3,600 "
        "page faults per forward pass of GoogLeNet",
    ),
    Setting(
        name="MALLOC_TRIM_THRESHOLD_",
        value=str(2**33),
        reason="free memory stays with the process, so that it is not faulted in again",
    ),
    Setting(
        name="MALLOC_TOP_PAD_",
        value=str(2**27),
        reason="the heap grows 128 MiB at a time, so that it stops growing while warming up",
    ),
    Setting(
        name="GLIBC_TUNABLES",
        value="glibc.malloc.hugetlb=1",
        reason="the heap uses huge pages: with the three settings above, processes differ by 1.4 % "
        "instead of 5 to 8 %, and GoogLeNet takes 26 ms instead of 31",
    ),
    Setting(
        name="OMP_PROC_BIND",
        value="false",
        reason="threads may move between cores: if bound to one core each, live workers compete "
        "for cores, and the standard deviation of their ratio was 2.3 % instead of 1.0 %",
    ),
    Setting(
        name="GOMP_SPINCOUNT",
        value=SPIN_COUNT,
        reason="waiting threads of GNU OpenMP spin a thirtieth of the default 300,000 times: long "
        "enough for the gaps inside a network, so its latency does not change, and short enough "
        "to free their cores for the next worker",
    ),
    Setting(
        name="OMP_NUM_THREADS",
        value=None,
        reason="one thread per physical core, or per CPU of a container's quota if that is less: "
        "hyper-threads share the units that a convolution needs; a value set by you is kept",
    ),
)
NAMES: Mapping[str, str] = MappingProxyType(
    {
        "pinned": "an allocator that keeps its memory; one thread and one CPU per physical core",
        "default": "the variables of this shell; processes differ more",
    }
)
# PyTorch then counts devices with NVML. This does not initialise CUDA, so a process may still fork.
UNTOUCHED_CUDA = MappingProxyType({"PYTORCH_NVML_BASED_CUDA_CHECK": "1"})

# cuDNN selects its algorithms by heuristics, which is PyTorch's default. A selection by benchmark
# would depend on the load by other workers at that moment, and stay until the process ends.
CUDNN_BENCHMARK = False

CACHE_VARIABLE = "TORCHINDUCTOR_CACHE_DIR"


def settings(name: str) -> tuple[Setting, ...]:
    """Return the settings of an environment.

    Raises ``RequestError`` if the name is unknown.
    """
    choose("environment", name, NAMES)
    return _PINNED if name == "pinned" else ()


def for_workers(base: Mapping[str, str], name: str = "pinned") -> dict[str, str]:
    """Return the environment variables of workers, based on those of this process."""
    # This folder survives a reboot, unlike Inductor's default folder under /tmp.
    cache = {}
    if CACHE_VARIABLE not in base:
        cache[CACHE_VARIABLE] = str(cache_folder(base) / "inductor")
    chosen = {setting.name: setting.value or str(physical_cores()) for setting in settings(name)}
    users_values = {name: base[name] for name in ("OMP_NUM_THREADS",) if name in base}
    return {**cache, **base, **chosen, **users_values, **UNTOUCHED_CUDA}


def pin_cudnn() -> None:
    """Make cuDNN select its algorithms in the same way in every worker."""
    import torch

    torch.backends.cudnn.benchmark = CUDNN_BENCHMARK
