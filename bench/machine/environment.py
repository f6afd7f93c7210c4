"""The environment of the workers: what is pinned and what is recorded."""

import functools
import os
import platform
import re
import tempfile
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import packages_distributions, version
from pathlib import Path
from types import MappingProxyType

import msgspec

from bench.machine import cgroup, cpu, driver
from bench.machine.facts import Environment
from bench.machine.system_files import text
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

_RECORDED = re.compile(
    "(MALLOC|GLIBC|LD|OMP|GOMP|KMP|MKL|DNNL|ONEDNN|ATEN|(PY)?TORCH|CUDA|CUDNN|CUBLAS|NVIDIA)"
)
CACHE_VARIABLE = "TORCHINDUCTOR_CACHE_DIR"
_PLACES = ("_DIR", "_PATH")  # locations on this machine do not affect the figures


def settings(name: str) -> tuple[Setting, ...]:
    """Return the settings of an environment.

    Raises ``RequestError`` if the name is unknown.
    """
    choose("environment", name, NAMES)
    return _PINNED if name == "pinned" else ()


def cache_folder(base: Mapping[str, str]) -> Path:
    """Return the folder for files that are kept between runs, because creating them takes time.

    It is in the system's temporary folder if the user has no home, for example in a container that
    does not know the user.
    """
    return users_cache_folder(base) or _temporary_cache_folder()


def users_cache_folder(base: Mapping[str, str]) -> Path | None:
    """Return the cache folder in the user's home, created if missing; None if it is unusable."""
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
    # Its files are executed as code, so a folder of another user is not used.
    return folder if folder.lstat().st_uid == os.getuid() else _folder_of_this_process(folder)


@functools.cache  # a new folder at each call would keep nothing
def _folder_of_this_process(unusable: Path) -> Path:
    return Path(tempfile.mkdtemp(dir=unusable.parent))


def for_workers(base: Mapping[str, str], name: str = "pinned") -> dict[str, str]:
    """Return the environment variables of workers, based on those of this process."""
    # This folder survives a reboot, unlike Inductor's default folder under /tmp.
    cache = {}
    if CACHE_VARIABLE not in base:
        cache[CACHE_VARIABLE] = str(cache_folder(base) / "inductor")
    chosen = {setting.name: setting.value or str(physical_cores()) for setting in settings(name)}
    users_values = {name: base[name] for name in ("OMP_NUM_THREADS",) if name in base}
    return {**cache, **base, **chosen, **users_values, **UNTOUCHED_CUDA}


def cpus_for_workers(name: str = "pinned") -> frozenset[int] | None:
    """Return one CPU of each physical core that this process may use; None for no restriction.

    All cores are included even if a control group allows the time of fewer CPUs, so that workers
    can avoid cores that other processes use.
    """
    return None if name == "default" else _cpu_of_each_core()


def _cpu_of_each_core() -> frozenset[int] | None:
    """Return the first CPU of each core that this process may use; None if unknown."""
    if not hasattr(os, "sched_getaffinity"):
        return None
    allowed = sorted(os.sched_getaffinity(0))
    first_of_core = {_siblings(cpu): cpu for cpu in reversed(allowed)}
    return frozenset(first_of_core.values())


def _siblings(cpu: int) -> str:
    """Return the hyper-threads that share a CPU's core, as Linux lists them."""
    listed = text(Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list"))
    return listed or str(cpu)


def allowed_cores() -> int:
    """Return the number of physical cores that this process may run on."""
    import psutil

    cpus = _cpu_of_each_core()
    return (len(cpus) if cpus else psutil.cpu_count(logical=False) or os.cpu_count()) or 1


def physical_cores() -> int:
    """Return the number of physical cores that this process may keep busy.

    This is limited by the CPU quota of a control group, for example of a container: threads that
    exceed the quota are paused in the middle of an iteration.
    """
    quota = cgroup.quota_cpus()
    return allowed_cores() if quota is None else max(1, min(allowed_cores(), int(quota)))


def pin_cudnn() -> None:
    """Make cuDNN select its algorithms in the same way in every worker."""
    import torch

    torch.backends.cudnn.benchmark = CUDNN_BENCHMARK


def describe(device: str, libraries: Iterable[str] = ()) -> Environment:
    """Return facts that affect a worker's figures, as seen by the worker. Imports torch.

    ``libraries``: those whose versions are wanted besides torch and torchvision.
    """
    import torch

    cpu_facts = cpu.describe()
    about = msgspec.structs.replace(
        cpu_facts,
        python=platform.python_version(),
        torch=str(torch.__version__),
        torchvision=version("torchvision"),
        libraries=_versions(libraries),
        device=device,
        device_name=cpu_facts.cpu,
        physical_cores=physical_cores(),
        threads=torch.get_num_threads(),
        cpus=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None,
        cpu_capability=torch.backends.cpu.get_cpu_capability(),
        variables={
            name: value
            for name, value in sorted(os.environ.items())
            if _RECORDED.match(name) and not name.endswith(_PLACES)
        },
    )
    if not about.is_on_gpu:
        return about
    properties = torch.cuda.get_device_properties(device)
    return msgspec.structs.replace(
        about,
        device_name=properties.name,
        device_memory_bytes=properties.total_memory,
        l2_bytes=properties.L2_cache_size,
        cuda=torch.version.cuda,
        cudnn=torch.backends.cudnn.version(),
        cudnn_benchmark=torch.backends.cudnn.benchmark,
        driver=driver.version(),
        compute_capability=f"{properties.major}.{properties.minor}",
    )


def _versions(libraries: Iterable[str]) -> Mapping[str, str]:
    """Return the versions of the installed libraries, by the name that is imported."""
    distributions = packages_distributions()
    return {
        name: version(distributions[name][0])
        for name in sorted(libraries)
        if distributions.get(name)
    }


def machine_slug(about: Environment) -> str:
    """Return a folder name for a machine: ``nvidia-h200``, or ``cpu-amd-epyc-2-cores``."""
    name = str(about.device_name)
    if not about.is_on_gpu:
        name = f"cpu {name} {about.physical_cores} cores"
    return re.sub(r"[^a-z0-9]+", "-", re.sub(r"\((r|tm|c)\)", "", name.lower())).strip("-")
