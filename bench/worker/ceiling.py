"""The ceiling of this device in a dtype: the highest rates that were measured with fast operations.

These are large matrix products, convolutions and copies, in the libraries that PyTorch calls. Data
sheets are not used: a measured ceiling includes clock rates, threads and the limits of a virtual
machine, like the figures of every cell.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType

import torch
from torch.nn import functional as F

from bench.cells.dtypes import Dtype
from bench.error_text import first_line
from bench.records.reported import Ceiling, FailedProbe, ProbeRate
from bench.units import GIB, MIB
from bench.worker import clock
from bench.worker.clock import BlockClock, Step

# A probe is repeated at least this often and for this long; the fastest repetition counts.
MIN_REPETITIONS, MIN_PROBE_S = 3, 0.25
# On an idle device the time of a call includes the launch, 2 % of a copy. In a block only the first
# call waits for a launch.
BLOCK_ITERATIONS = 3
# The copied memory must not fit into a CPU's cache. A core's share of the last-level cache is at
# most 12 MiB (EPYC 9684X), and a virtual machine of two cores may have a cache of 32 MiB to itself.
COPIED_BYTES, COPIED_BYTES_PER_THREAD = 256 * MIB, 32 * MIB
# The largest caches of GPUs hold 128 MiB. A copy of 2 GiB takes a millisecond with the fastest
# memory. If that is more than this share of the free memory, less is copied.
COPIED_ON_GPU_BYTES, MAX_COPIED_SHARE = 2 * GIB, 1 / 8
MEMORY_FORMATS: Mapping[str, torch.memory_format] = MappingProxyType(
    {"": torch.contiguous_format, "channels_last_": torch.channels_last}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Convolution:
    """A square convolution with padding, and with as many output channels as input channels."""

    batch_size: int
    channels: int
    side: int
    """Height and width of an image, in pixels."""
    kernel: int

    @property
    def macs(self) -> int:
        """Multiply-accumulates, including those with the padding."""
        return self.batch_size * self.side**2 * self.channels**2 * self.kernel**2

    def __str__(self) -> str:
        return (
            f"{self.kernel}×{self.kernel}, "
            f"{self.batch_size}×{self.channels}×{self.side}×{self.side}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """Sizes of the probes: large enough to fill a device, and done within a second."""

    products: tuple[int, ...]
    """Numbers of rows of square matrices."""
    convolutions: tuple[Convolution, ...]


SIZES: Mapping[str, Sizes] = MappingProxyType(
    {
        "cpu": Sizes(
            products=(512, 1024, 2048),
            convolutions=(
                Convolution(batch_size=8, channels=192, side=28, kernel=3),
                Convolution(batch_size=8, channels=512, side=28, kernel=1),
            ),
        ),
        "cuda": Sizes(
            products=(2048, 4096, 8192),
            convolutions=(
                Convolution(batch_size=256, channels=512, side=28, kernel=3),
                Convolution(batch_size=256, channels=2048, side=14, kernel=1),
            ),
        ),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """An operation that a library runs fast."""

    kind: str
    """``product``, ``convolution`` or ``channels_last_convolution``."""
    size: str
    macs: int
    make: Callable[[torch.dtype, torch.device], Step]
    """Creates random inputs (a GPU multiplies zeros faster) and returns the step to time."""


def measure(
    dtype: Dtype,
    device: torch.device,
    *,
    sizes: Sizes | None = None,
    timer: BlockClock | None = None,
) -> Ceiling:
    """Return the best rate of each probe, in multiply-accumulates/s, and of copies, in bytes/s.

    The probes use the threads of this process. ``failed`` lists the probes that the device could
    not run. If it could run none, the result contains only ``error``, with the reason.
    """
    timer = timer or clock.for_device(device)
    dtype.pin_precision()
    results, failed = [], []
    with torch.inference_mode(), _fastest_convolutions():
        for probe in probes(sizes or SIZES[device.type]):
            try:
                seconds = best_s(probe.make(dtype.torch_dtype, device), timer)
            except RuntimeError as error:  # no kernel (NotImplementedError is one), or no memory
                reason = first_line(str(error)) or type(error).__name__
                failed.append(FailedProbe(kind=probe.kind, size=probe.size, reason=reason))
            else:
                rate = probe.macs / seconds
                results.append(ProbeRate(kind=probe.kind, size=probe.size, mac_per_s=rate))
        if not results:
            return Ceiling(error=failed[0].reason)
        copied_bytes = _copied_bytes(device)
        copy_s = best_s(_copy(copied_bytes, dtype.torch_dtype, device), timer)
    return Ceiling(
        probes=tuple(results),
        failed=tuple(failed),
        bytes_per_s=2 * copied_bytes / copy_s,  # each byte is read and written
        copied_bytes=copied_bytes,
        bytes_per_element=dtype.torch_dtype.itemsize,
        threads=torch.get_num_threads(),
    )


def best_s(step: Step, timer: BlockClock) -> float:
    """Return the seconds of the fastest of several repetitions, after one warm-up repetition."""
    timer.time(step, 1)
    spent_s, best = 0.0, float("inf")
    repetitions = 0
    while repetitions < MIN_REPETITIONS or spent_s < MIN_PROBE_S:
        seconds, total_s = _repeat(step, timer)
        best = min(best, seconds)
        spent_s += total_s
        repetitions += 1
    return best


def _repeat(step: Step, timer: BlockClock) -> tuple[float, float]:
    """Return the seconds of a repetition, and the total seconds that timing it took."""
    block = timer.back_to_back(step, BLOCK_ITERATIONS)
    if block is None:
        (host_s,) = timer.time(step, 1).host_s
        return host_s, host_s
    each_s = block.device_s / block.iterations
    return min(each_s, block.busy_s or each_s), block.host_s


def probes(sizes: Sizes) -> Iterator[Probe]:
    """Yield the matrix products, and the convolutions in both memory formats."""
    for side in sizes.products:
        make = partial(_product, side)
        yield Probe(kind="product", size=f"{side}×{side}×{side}", macs=side**3, make=make)
    for convolution in sizes.convolutions:
        for prefix, memory_format in MEMORY_FORMATS.items():
            yield Probe(
                kind=f"{prefix}convolution",
                size=str(convolution),
                macs=convolution.macs,
                make=partial(_convolution, convolution, memory_format),
            )


def _product(side: int, dtype: torch.dtype, device: torch.device) -> Step:
    left, right = torch.randn(2, side, side, device=device).to(dtype)
    out = torch.empty_like(left)
    return lambda: torch.mm(left, right, out=out)


def _convolution(
    shape: Convolution, memory_format: torch.memory_format, dtype: torch.dtype, device: torch.device
) -> Step:
    images = torch.randn(shape.batch_size, shape.channels, shape.side, shape.side, device=device)
    weights = torch.randn(shape.channels, shape.channels, shape.kernel, shape.kernel, device=device)
    x, kernels = (
        part.to(dtype).contiguous(memory_format=memory_format) for part in (images, weights)
    )
    return lambda: F.conv2d(x, kernels, padding=shape.kernel // 2)


def _copied_bytes(device: torch.device) -> int:
    if device.type != "cpu":
        free_bytes, _ = torch.cuda.mem_get_info(device)
        has_room = MAX_COPIED_SHARE * free_bytes >= COPIED_ON_GPU_BYTES
        return COPIED_ON_GPU_BYTES if has_room else 2 * COPIED_BYTES
    return max(COPIED_BYTES, COPIED_BYTES_PER_THREAD * torch.get_num_threads())


def _copy(size: int, dtype: torch.dtype, device: torch.device) -> Step:
    repeated = torch.randn(MIB // dtype.itemsize, device=device).to(dtype)
    source = repeated.repeat(size // MIB)
    target = torch.empty_like(source)
    return lambda: target.copy_(source)


@contextmanager
def _fastest_convolutions() -> Iterator[None]:
    """Have cuDNN benchmark its algorithms, which is off for networks by default."""
    before = torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = True
    try:
        yield
    finally:
        torch.backends.cudnn.benchmark = before
