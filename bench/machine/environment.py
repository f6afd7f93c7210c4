"""Facts that affect a run's figures: the environment of the workers, as a run stores it.

Every fact may be missing: files of earlier versions have fewer, and a system does not report all.
None means unknown, and unknown facts are not stored. Facts of later versions are ignored.
"""

import re
from collections.abc import Mapping

import msgspec


class CardFacts(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The properties of a CUDA device that do not change during a run, or why they are unknown."""

    uuid: str | None = None
    driver: str | None = None
    mig: bool | None = None
    """Whether the card is divided by MIG."""
    mps_seen: bool | None = None
    """Whether there is a sign of NVIDIA's Multi-Process Service."""
    persistence: bool | None = None
    """Whether the driver stays loaded without a process on the card."""
    compute_mode: str | None = None
    """How many processes may use the card (bench/machine/nvml.py, ``COMPUTE_MODES``)."""
    power_limit_w: float | None = None
    most_sm_hz: int | None = None
    most_memory_hz: int | None = None
    """The highest clocks, in Hz."""
    unknown: str | None = None
    """Why the card cannot be read; None if it can."""


class Environment(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The environment of a worker, as seen by the worker; the coordinator adds the cards."""

    python: str | None = None
    torch: str | None = None
    torchvision: str | None = None
    libraries: Mapping[str, str] = {}
    """Versions of the other libraries that the run's networks come from, by name."""
    device: str | None = None
    device_name: str | None = None
    """The GPU's name, or that of the CPU."""
    cpu: str | None = None
    cpu_family: int | None = None
    cpu_model: int | None = None
    cpu_stepping: int | None = None
    cpu_cores: int | None = None
    """Number of physical cores, whether this process may use them or not."""
    cpu_l1d_bytes: int | None = None
    cpu_l1i_bytes: int | None = None
    cpu_l2_bytes: int | None = None
    cpu_l3_bytes: int | None = None
    """Sizes of the caches, each summed over the cores."""
    cpu_microcode: str | None = None
    hypervisor: str | None = None
    """The hypervisor's name; ``none`` on bare metal."""
    physical_cores: int | None = None
    """Number of physical cores that the process may keep busy."""
    threads: int | None = None
    """Number of threads that PyTorch uses for an operator."""
    cpus: int | None = None
    """Number of CPUs that the process may run on."""
    cpu_capability: str | None = None
    """The vector instructions that PyTorch uses."""
    variables: Mapping[str, str] = {}
    """Environment variables that affect the figures."""
    device_memory_bytes: int | None = None
    l2_bytes: int | None = None
    """Size of the GPU's L2 cache."""
    cuda: str | None = None
    cudnn: int | None = None
    cudnn_benchmark: bool | None = None
    """Whether cuDNN selects algorithms by trying them."""
    driver: str | None = None
    compute_capability: str | None = None
    cards: Mapping[str, CardFacts] = {}
    """The CUDA devices of the run, by device."""

    @property
    def is_on_gpu(self) -> bool:
        """Whether the device is a CUDA device."""
        return (self.device or "").startswith("cuda")

    @property
    def known(self) -> dict[str, object]:
        """The known facts by name, in the order of the fields."""
        return {
            name: value
            for name, value in msgspec.structs.asdict(self).items()
            if value is not None and value != {}
        }

    def merged(self, other: "Environment") -> "Environment":
        """Return these facts, replaced by those that ``other`` knows."""
        return msgspec.structs.replace(self, **other.known)


def machine_slug(about: Environment) -> str:
    """Return a folder name for a machine: ``nvidia-h200``, or ``cpu-amd-epyc-2-cores``."""
    name = str(about.device_name)
    if not about.is_on_gpu:
        name = f"cpu {name} {about.physical_cores} cores"
    return re.sub(r"[^a-z0-9]+", "-", re.sub(r"\((r|tm|c)\)", "", name.lower())).strip("-")
