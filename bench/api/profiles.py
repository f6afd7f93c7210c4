"""Profiles: named selections of what to measure, for runs without options.

Apart from the registry, this is the only module that names GoogLeNet's archs.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from googlenet.variants import VARIANTS

REFERENCE_ARCH = "torchvision"
# From GoogLeNet to torchvision's, one factor at a time; the last step changes only the
# implementation.
LADDER = ("googlenet", "googlenet-3x3", "googlenet-pool2", "googlenet-3x3-pool2", REFERENCE_ARCH)
MODES = ("eager", "compile", "channels_last")
# Batch sizes that keep the device busy and leave a laptop usable.
THROUGHPUT_BATCH: Mapping[str, int] = MappingProxyType({"cpu": 8, "cuda": 128})
# Up to where throughput is flat; on a CPU that takes only a few images.
SWEEP: Mapping[str, tuple[int, ...]] = MappingProxyType(
    {"cpu": (1, 2, 4, 8, 16), "cuda": (1, 8, 32, 128, 256)}
)
PRECISION = 0.02  # largest half-width of a ratio's interval: 2 %


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What to measure unless options say otherwise."""

    what: str
    """Description for ``--help``."""
    archs: tuple[str, ...]
    modes: tuple[str, ...]
    throughput: bool
    """Whether to measure a throughput batch in addition to batch 1."""
    sets: int
    extra_s: float
    """Time in which sets may be added while the ratios are not precise enough, in seconds."""
    ceiling: bool
    """Whether to measure the device's peak performance first."""
    energy: bool
    """Whether to measure a CUDA device's energy per image."""
    sweep: bool = False
    """Whether to measure batch sizes up to saturation instead of one throughput batch."""

    def batch_sizes(self, device: str) -> tuple[int, ...]:
        """Return the batch sizes of this profile on a device, ascending."""
        if self.sweep:
            return SWEEP[device.partition(":")[0]]
        throughput = THROUGHPUT_BATCH[device.partition(":")[0]]
        return (1, throughput) if self.throughput else (1,)


PROFILES: Mapping[str, Profile] = MappingProxyType(
    {
        "quick": Profile(
            what="GoogLeNet and torchvision's, at batch 1",
            archs=("googlenet", REFERENCE_ARCH),
            modes=MODES,
            throughput=False,
            sets=3,
            extra_s=45.0,
            ceiling=False,
            energy=False,
        ),
        "default": Profile(
            what="the ladder from GoogLeNet to torchvision's, at batch 1 and a throughput batch",
            archs=LADDER,
            modes=MODES,
            throughput=True,
            sets=3,
            extra_s=285.0,
            ceiling=True,
            energy=True,
        ),
        "sweep": Profile(
            what="GoogLeNet and torchvision's, at batch sizes from 1 to 256 (on a CPU to 16)",
            archs=("googlenet", REFERENCE_ARCH),
            modes=MODES,
            throughput=True,
            sets=3,
            extra_s=285.0,
            ceiling=True,
            energy=False,
            sweep=True,
        ),
        "full": Profile(
            what="every variant in every mode, at batch 1 and a throughput batch",
            archs=tuple(VARIANTS),
            modes=(*MODES, "compile+channels_last"),
            throughput=True,
            sets=8,
            extra_s=3600.0,
            ceiling=True,
            energy=True,
        ),
    }
)
