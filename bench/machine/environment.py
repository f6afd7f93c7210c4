"""The environment: what workers run in, what of it is pinned, and what is recorded of it."""

import functools
import os
import platform
import re
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType
from typing import Any

from bench.machine import cgroup, cpu, driver
from bench.machine.system_files import text
from bench.names import choose


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """An environment variable that workers start with, and why."""

    name: str
    value: str | None
    """None for the number of physical cores."""
    reason: str


SPIN_COUNT = "10000"

# sd of the log-ratio of two live workers with the same cell, GoogLeNet in eager at batch 1 on two
# cores, over 7 sets of 4 workers in each of 5 environments in turn: 1.0 % with these, 3.2 % with
# none of them, 2.3 % where threads are bound to cores besides.
_PINNED = (
    Setting(
        name="MALLOC_MMAP_THRESHOLD_",
        value=str(2**30),
        reason="blocks up to 1 GiB come from the heap: mapping each anew costs a forward of "
        "GoogLeNet 3,600 page faults",
    ),
    Setting(
        name="MALLOC_TRIM_THRESHOLD_",
        value=str(2**33),
        reason="free memory stays with the process, instead of being faulted in again",
    ),
    Setting(
        name="MALLOC_TOP_PAD_",
        value=str(2**27),
        reason="the heap grows 128 MiB at a time, so that it stops growing while warming up",
    ),
    Setting(
        name="GLIBC_TUNABLES",
        value="glibc.malloc.hugetlb=1",
        reason="the heap asks for huge pages: with the three above, processes differ by 1.4 % "
        "and not 5 to 8 %, and GoogLeNet takes 26 ms and not 31",
    ),
    Setting(
        name="OMP_PROC_BIND",
        value="false",
        reason="threads stay free among the cores: bound to one each, live workers get in each "
        "other's way, and their ratio's sd was 2.3 % and not 1.0 %",
    ),
    Setting(
        name="GOMP_SPINCOUNT",
        value=SPIN_COUNT,
        reason="GNU OpenMP's threads spin a thirtieth of the default 300,000 times while they wait "
        "for work: long enough for the gaps inside a network, whose latency stays as it is, and "
        "short enough to leave their cores to the next worker",
    ),
    Setting(
        name="OMP_NUM_THREADS",
        value=None,
        reason="a thread for each physical core, or for each CPU of a container's quota where that "
        "is less: hyper-threads share what a convolution needs; your own value is kept",
    ),
)
NAMES: Mapping[str, str] = MappingProxyType(
    {
        "pinned": "an allocator that keeps its memory, a thread and a CPU for each physical core",
        "default": "whatever this shell has; processes differ more",
    }
)
# Asking for devices through NVML leaves CUDA untouched, so that a process may still fork.
UNTOUCHED_CUDA = MappingProxyType({"PYTORCH_NVML_BASED_CUDA_CHECK": "1"})

# Of cuDNN's algorithms the one that its heuristics name, as PyTorch does by itself: trying them out
# would leave the choice, for a process's whole life, to what its neighbours did just then.
CUDNN_BENCHMARK = False

_RECORDED = re.compile(
    "(MALLOC|GLIBC|LD|OMP|GOMP|KMP|MKL|DNNL|ONEDNN|ATEN|(PY)?TORCH|CUDA|CUDNN|CUBLAS|NVIDIA)"
)
CACHE_VARIABLE = "TORCHINDUCTOR_CACHE_DIR"
_PLACES = ("_DIR", "_PATH")  # where something lies on this machine explains no number


def settings(name: str) -> tuple[Setting, ...]:
    """What an environment sets for workers, with the reasons.

    Raises ``RequestError`` where there is no environment of this name.
    """
    choose("environment", name, NAMES)
    return _PINNED if name == "pinned" else ()


def cache_folder(base: Mapping[str, str]) -> Path:
    """What is kept between runs, because making it anew takes time.

    Where the user has no such folder, as in a container that is run for one it does not know, one
    below the system's own for temporary files.
    """
    return users_cache_folder(base) or _temporary_cache_folder()


def users_cache_folder(base: Mapping[str, str]) -> Path | None:
    """The one that users have at home, made where it is not there; None where it cannot be used."""
    try:
        folder = Path(base.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "googlenet-bench"
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError):  # RuntimeError: there is no home
        return None
    return folder if os.access(folder, os.W_OK | os.X_OK) else None


def _temporary_cache_folder() -> Path:
    folder = Path(tempfile.gettempdir()) / f"googlenet-bench-{os.getuid()}"
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    # What is in it is run as code: none is taken that somebody else has put there.
    return folder if folder.lstat().st_uid == os.getuid() else _folder_of_this_process(folder)


@functools.cache  # another than before would keep nothing
def _folder_of_this_process(in_place_of: Path) -> Path:
    return Path(tempfile.mkdtemp(dir=in_place_of.parent))


def for_workers(base: Mapping[str, str], name: str = "pinned") -> dict[str, str]:
    """The environment variables that workers start with, from those of this process."""
    # Kept between runs, and across a reboot, which Inductor's own place under /tmp is not.
    kept = {}
    if CACHE_VARIABLE not in base:
        kept[CACHE_VARIABLE] = str(cache_folder(base) / "inductor")
    chosen = {setting.name: setting.value or str(physical_cores()) for setting in settings(name)}
    yours = {name: base[name] for name in ("OMP_NUM_THREADS",) if name in base}
    return {**kept, **base, **chosen, **yours, **UNTOUCHED_CUDA}


def cpus_for_workers(name: str = "pinned") -> frozenset[int] | None:
    """One CPU of each physical core that this process may use; None to leave the choice open.

    Of every core also where a control group leaves it the time of fewer: chosen among all, they are
    less likely to be those that a neighbour is on.
    """
    return None if name == "default" else _cpu_of_each_core()


def _cpu_of_each_core() -> frozenset[int] | None:
    """The first of each core's CPUs that this process may use; None where the system won't say."""
    if not hasattr(os, "sched_getaffinity"):
        return None
    allowed = sorted(os.sched_getaffinity(0))
    first_of_core = {_siblings(cpu): cpu for cpu in reversed(allowed)}
    return frozenset(first_of_core.values())


def _siblings(cpu: int) -> str:
    """The hyper-threads that share a CPU's core, as Linux lists them."""
    listed = text(Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list"))
    return listed or str(cpu)


def allowed_cores() -> int:
    """Cores that this process may run on, hyper-threads not counted."""
    import psutil

    cpus = _cpu_of_each_core()
    return (len(cpus) if cpus else psutil.cpu_count(logical=False) or os.cpu_count()) or 1


def physical_cores() -> int:
    """Cores that this process may keep busy, hyper-threads not counted.

    A control group that leaves it less CPU time than that, as a container's may, counts: threads
    that have used it up are stopped in the middle of an iteration.
    """
    quota = cgroup.quota_cpus()
    return allowed_cores() if quota is None else max(1, min(allowed_cores(), int(quota)))


def pin_cudnn() -> None:
    """Have cuDNN choose its algorithms in the same way in every worker."""
    import torch

    torch.backends.cudnn.benchmark = CUDNN_BENCHMARK


def describe(device: str) -> dict[str, Any]:
    """What a worker's numbers depend on, as the worker itself sees it (this imports torch)."""
    import torch

    of_cpu = cpu.describe()
    about: dict[str, Any] = {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "torchvision": version("torchvision"),
        "device": device,
        "device_name": of_cpu["cpu"],
        **of_cpu,
        "physical_cores": physical_cores(),
        "threads": torch.get_num_threads(),
        "cpus": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None,
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "variables": {
            name: value
            for name, value in sorted(os.environ.items())
            if _RECORDED.match(name) and not name.endswith(_PLACES)
        },
    }
    if device.startswith("cuda"):
        properties = torch.cuda.get_device_properties(device)
        about |= {
            "device_name": properties.name,
            "device_memory_bytes": properties.total_memory,
            "l2_bytes": properties.L2_cache_size,
            "cuda": torch.version.cuda,
            "cudnn": torch.backends.cudnn.version(),
            "cudnn_benchmark": torch.backends.cudnn.benchmark,
            "driver": driver.version(),
            "compute_capability": f"{properties.major}.{properties.minor}",
        }
    return about


def machine_slug(about: Mapping[str, Any]) -> str:
    """A folder name for a machine: ``nvidia-h200``, or ``cpu-amd-epyc-2-cores``."""
    name = str(about["device_name"])
    if not str(about["device"]).startswith("cuda"):
        name = f"cpu {name} {about['physical_cores']} cores"
    return re.sub(r"[^a-z0-9]+", "-", re.sub(r"\((r|tm|c)\)", "", name.lower())).strip("-")
