"""A GPU played by this CPU, for the code that a machine without one would never run.

Every process started with ``environment()`` takes its CPU for so many CUDA devices: PyTorch's
``torch.cuda``, CUDA's driver and NVML answer in their words (cuda.py, driver.py, nvml.py), and
tensors asked for on such a device lie in the host's memory. Real workers, networks and reports then
take every turn that is taken on CUDA alone; cuda.py says which of CUDA's own are not played. No
figure of it says anything of a GPU.
"""

import os
from pathlib import Path

FOLDER = Path(__file__).parent / "path"  # its sitecustomize.py is imported by every interpreter
ROOT = Path(__file__).parents[3]
NAME = "Rehearsal, no GPU"
DEVICES, SPEED = "REHEARSAL_DEVICES", "REHEARSAL_SPEED"


def environment(*, devices: int = 1, speed: float = 1.0) -> dict[str, str]:
    """What to start a process in; ``speed`` is how fast a device is, in the host's.

    One that is faster than the host waits for its launches; a slower one is waited for.
    """
    path = os.pathsep.join([str(FOLDER), str(ROOT)])
    return {**os.environ, "PYTHONPATH": path, DEVICES: str(devices), SPEED: str(speed)}


def devices() -> int:
    """How many there are in this process."""
    return int(os.environ[DEVICES])


def speed() -> float:
    """How fast each is in this process."""
    return float(os.environ[SPEED])
