"""The description of a worker's environment: versions, hardware and variables."""

import os
import platform
import re
from collections.abc import Iterable, Mapping
from importlib.metadata import packages_distributions, version

import msgspec

from bench.machine import cpu, driver
from bench.machine.cores import physical_cores
from bench.machine.environment import Environment

_RECORDED = re.compile(
    "(MALLOC|GLIBC|LD|OMP|GOMP|KMP|MKL|DNNL|ONEDNN|ATEN|(PY)?TORCH|CUDA|CUDNN|CUBLAS|NVIDIA)"
)
_PLACES = ("_DIR", "_PATH")  # locations on this machine do not affect the figures


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
