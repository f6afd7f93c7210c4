"""The environment: what workers run in, what of it is pinned, and what is recorded of it."""

import ctypes
import os
import re
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType
from typing import Any

# Without these, fresh processes differ by 5 to 8 % for their whole life, mostly from the paging of
# an allocator that gives memory back and takes it again: about 3,600 minor faults a forward.
# With them 1.4 %, and GoogLeNet at batch 1 takes 26 ms instead of 31.
PINNED: Mapping[str, str] = MappingProxyType(
    {
        "MALLOC_MMAP_THRESHOLD_": str(2**30),
        "MALLOC_TRIM_THRESHOLD_": str(2**33),
        "MALLOC_TOP_PAD_": str(2**27),
        "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",
    }
)
# Asking for devices through NVML leaves CUDA untouched, so that a process may still fork.
UNTOUCHED_CUDA = MappingProxyType({"PYTORCH_NVML_BASED_CUDA_CHECK": "1"})

_RECORDED = re.compile(
    "(MALLOC|GLIBC|LD|OMP|GOMP|KMP|MKL|DNNL|ONEDNN|ATEN|(PY)?TORCH|CUDA|CUDNN|CUBLAS|NVIDIA)"
)
_PLACES = ("_DIR", "_PATH")  # where something lies on this machine explains no number


def for_workers(base: Mapping[str, str]) -> dict[str, str]:
    """The environment variables that workers start with, from those of this process."""
    cache = Path(base.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "googlenet-bench"
    # Kept between runs, and across a reboot, which Inductor's own place under /tmp is not.
    kept = {"TORCHINDUCTOR_CACHE_DIR": str(cache / "inductor")}
    threads = {"OMP_NUM_THREADS": str(physical_cores())}
    return {**kept, **threads, **base, **PINNED, **UNTOUCHED_CUDA}


def physical_cores() -> int:
    """Cores that this process may use, hyper-threads not counted."""
    import psutil

    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, min(psutil.cpu_count(logical=False) or allowed or 1, allowed or 1))


def cuda_devices() -> int:
    """How many devices the NVIDIA driver sees; asks the driver alone, without importing torch."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return 0
    count = ctypes.c_int(0)
    if driver.cuInit(0) != 0 or driver.cuDeviceGetCount(ctypes.byref(count)) != 0:
        return 0
    return count.value


def driver_version() -> str:
    """The NVIDIA driver's version as its kernel module states it."""
    try:
        text = Path("/sys/module/nvidia/version").read_text()
    except OSError:
        return "unknown"
    return text.strip()


def describe(device: str) -> dict[str, Any]:
    """What a worker's numbers depend on, as the worker itself sees it (this imports torch)."""
    import torch

    cpu = cpu_name()
    about: dict[str, Any] = {
        "torch": torch.__version__,
        "torchvision": version("torchvision"),
        "device": device,
        "device_name": cpu,
        "cpu": cpu,
        "physical_cores": physical_cores(),
        "threads": torch.get_num_threads(),
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
            "cuda": torch.version.cuda,
            "cudnn": torch.backends.cudnn.version(),
            "cudnn_benchmark": torch.backends.cudnn.benchmark,
            "driver": driver_version(),
            "compute_capability": f"{properties.major}.{properties.minor}",
        }
    return about


def cpu_name() -> str:
    """The processor's brand, as its maker writes it."""
    import cpuinfo

    return str(cpuinfo.get_cpu_info().get("brand_raw") or "unknown CPU")


def machine_slug(about: Mapping[str, Any]) -> str:
    """A folder name for a machine: ``nvidia-h200``, or ``cpu-amd-epyc-2-cores``."""
    name = str(about["device_name"])
    if not str(about["device"]).startswith("cuda"):
        name = f"cpu {name} {about['physical_cores']} cores"
    return re.sub(r"[^a-z0-9]+", "-", re.sub(r"\((r|tm|c)\)", "", name.lower())).strip("-")
