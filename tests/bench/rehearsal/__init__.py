"""Simulated GPUs on a CPU, to run CUDA-only code on a machine without a GPU.

Every process that is started with ``environment()`` sees simulated CUDA devices: ``torch.cuda``,
CUDA's driver and NVML are replaced by fakes (cuda.py, driver.py, nvml.py), and tensors on such a
device are in the host's memory. Real workers, networks and reports then run every CUDA-only branch;
cuda.py lists what is not simulated. The figures are not those of a GPU.
"""

import os
from pathlib import Path

FOLDER = Path(__file__).parent / "path"  # its sitecustomize.py is imported by every interpreter
ROOT = Path(__file__).parents[3]
NAME = "Rehearsal, no GPU"
DEVICES, SPEED = "REHEARSAL_DEVICES", "REHEARSAL_SPEED"


def environment(*, devices: int = 1, speed: float = 1.0) -> dict[str, str]:
    """Return the environment of a process that sees simulated devices.

    ``speed`` is the devices' speed relative to the host. A device that is faster than the host
    waits for launches; the host waits for a slower one.
    """
    path = os.pathsep.join([str(FOLDER), str(ROOT)])
    return {**os.environ, "PYTHONPATH": path, DEVICES: str(devices), SPEED: str(speed)}


def devices() -> int:
    """Return the number of simulated devices in this process."""
    return int(os.environ[DEVICES])


def speed() -> float:
    """Return the speed of each device in this process, relative to the host."""
    return float(os.environ[SPEED])
