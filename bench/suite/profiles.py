"""Profiles: named choices of what to measure, for those who have no wish of their own.

Beside the registry, the only place that names GoogLeNet's archs.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from googlenet.variants import VARIANTS

REFERENCE_ARCH = "torchvision"
# From GoogLeNet to torchvision's one factor at a time, and whose code it is at the last step.
LADDER = ("googlenet", "googlenet-3x3", "googlenet-pool2", "googlenet-3x3-pool2", REFERENCE_ARCH)
MODES = ("eager", "compile", "channels_last")
# A batch that fills the device and leaves a laptop usable.
THROUGHPUT_BATCH: Mapping[str, int] = MappingProxyType({"cpu": 8, "cuda": 128})
# To where throughput is flat: a CPU's is from a few images on.
SWEEP: Mapping[str, tuple[int, ...]] = MappingProxyType(
    {"cpu": (1, 2, 4, 8, 16), "cuda": (1, 8, 32, 128, 256)}
)
PRECISION = 0.02  # half-width of a ratio's interval: 2 %


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What to measure where the options leave it open."""

    what: str
    archs: tuple[str, ...]
    modes: tuple[str, ...]
    throughput: bool
    """Whether to measure a throughput batch besides batch 1."""
    sets: int
    extra_s: float
    """Seconds for which sets are added where the ratios are not precise enough yet."""
    ceiling: bool
    """Whether to measure first what the device does at the most."""
    energy: bool
    """Whether to measure what a CUDA device takes for an image."""
    sweep: bool = False
    """Whether to measure batch sizes up to saturation instead."""

    def batch_sizes(self, device: str) -> tuple[int, ...]:
        """Batch 1, and those that suit the device where the profile measures throughput."""
        if self.sweep:
            return SWEEP[device.partition(":")[0]]
        throughput = THROUGHPUT_BATCH[device.partition(":")[0]]
        return (1, throughput) if self.throughput else (1,)


PROFILES: Mapping[str, Profile] = MappingProxyType(
    {
        "quick": Profile(
            what="GoogLeNet beside torchvision's at batch 1",
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
            what="GoogLeNet beside torchvision's at batch 1 to 256 (on a CPU to 16)",
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
