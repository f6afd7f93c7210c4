"""The ceiling: the most that this device does in a dtype, measured on what it does best.

Large matrix products and convolutions of the library that PyTorch calls, and copies. No data sheet:
clocks, threads and what a virtual machine gets are in it as they are in every cell.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any

import torch
from torch.nn import functional as F

from bench.cells.dtypes import Dtype
from bench.errors import first_line
from bench.units import GIB, MIB
from bench.worker import clock
from bench.worker.clock import BlockClock, Step

LEAST, PROBE_S = 3, 0.25  # repetitions of a probe, and seconds that they take: the fastest counts
# Of a call of a device that had nothing to do a launch is a part, 2 % of a copy: no call of a
# block waits for one but the first.
TOGETHER = 3
# A core's share of the last cache is 12 MiB at the most (EPYC 9684X), and a virtual machine of two
# cores may have a cache of 32 MiB to itself: what is copied must lie in neither.
COPIED_BYTES, COPIED_BYTES_A_THREAD = 256 * MIB, 32 * MIB
# The largest caches of GPUs hold 128 MiB. A copy of 2 GiB takes a millisecond where memory is
# fastest; where there is little of it less must do.
COPIED_ON_GPU_BYTES, COPIED_OF_FREE = 2 * GIB, 1 / 8
MEMORY_FORMATS: Mapping[str, torch.memory_format] = MappingProxyType(
    {"": torch.contiguous_format, "channels_last_": torch.channels_last}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Convolution:
    """A square convolution with padding, as many channels out as in."""

    batch_size: int
    channels: int
    side: int
    """Of an image, in pixels."""
    kernel: int

    @property
    def macs(self) -> int:
        """Multiply-accumulates, those with the padding among them."""
        return self.batch_size * self.side**2 * self.channels**2 * self.kernel**2

    def __str__(self) -> str:
        return (
            f"{self.kernel}×{self.kernel}, "
            f"{self.batch_size}×{self.channels}×{self.side}×{self.side}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """What is probed: enough to fill a device, and done within a second."""

    products: tuple[int, ...]
    """Sides of square matrices."""
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
    """One thing that a library does fast."""

    kind: str
    """``product``, ``convolution`` or ``channels_last_convolution``."""
    size: str
    macs: int
    make: Callable[[torch.dtype, torch.device], Step]
    """Its inputs, random ones (a GPU multiplies zeros faster), and what is timed."""


def measure(
    dtype: Dtype,
    device: torch.device,
    *,
    sizes: Sizes | None = None,
    timer: BlockClock | None = None,
) -> dict[str, Any]:
    """The best rate of each probe, in multiply-accumulates a second, and of copies in bytes.

    In the threads that this process has. Under ``error`` there is a reason instead where the device
    has no kernel for any of them; under ``failed`` what it could not do besides.
    """
    own = timer or clock.for_device(device)
    dtype.pin_precision()
    found, failed = [], []
    with torch.inference_mode(), _fastest_convolutions():
        for probe in probes(sizes or SIZES[device.type]):
            about = {"kind": probe.kind, "size": probe.size}
            try:
                seconds = best_s(probe.make(dtype.torch_dtype, device), own)
            except RuntimeError as error:  # no kernel (NotImplementedError is one), or no memory
                reason = first_line(str(error)) or type(error).__name__
                failed.append({**about, "reason": reason})
            else:
                found.append({**about, "mac_per_s": probe.macs / seconds})
        if not found:
            return {"error": failed[0]["reason"]}
        copied_bytes = _copied_bytes(device)
        copy_s = best_s(_copy(copied_bytes, dtype.torch_dtype, device), own)
    return {
        "probes": found,
        "failed": failed,
        "bytes_per_s": 2 * copied_bytes / copy_s,  # each is read, and written
        "copied_bytes": copied_bytes,
        "bytes_per_element": dtype.torch_dtype.itemsize,
        "threads": torch.get_num_threads(),
    }


def best_s(step: Step, timer: BlockClock) -> float:
    """Seconds of the fastest of several repetitions, after one that warms up."""
    timer.time(step, 1)
    spent_s, best = 0.0, float("inf")
    repetitions = 0
    while repetitions < LEAST or spent_s < PROBE_S:
        seconds, took_s = _repeat(step, timer)
        best = min(best, seconds)
        spent_s += took_s
        repetitions += 1
    return best


def _repeat(step: Step, timer: BlockClock) -> tuple[float, float]:
    """Seconds of a repetition, and those that timing it took."""
    block = timer.back_to_back(step, TOGETHER)
    if block is None:
        (host_s,) = timer.time(step, 1).host_s
        return host_s, host_s
    each_s = block.device_s / block.iterations
    return min(each_s, block.busy_s or each_s), block.host_s


def probes(sizes: Sizes) -> Iterator[Probe]:
    """Matrix products, and convolutions in both memory formats."""
    for side in sizes.products:
        make = partial(_product, side)
        yield Probe(kind="product", size=f"{side}×{side}×{side}", macs=side**3, make=make)
    for of in sizes.convolutions:
        for prefix, memory_format in MEMORY_FORMATS.items():
            yield Probe(
                kind=f"{prefix}convolution",
                size=str(of),
                macs=of.macs,
                make=partial(_convolution, of, memory_format),
            )


def _product(side: int, dtype: torch.dtype, device: torch.device) -> Step:
    left, right = torch.randn(2, side, side, device=device).to(dtype)
    out = torch.empty_like(left)
    return lambda: torch.mm(left, right, out=out)


def _convolution(
    of: Convolution, memory_format: torch.memory_format, dtype: torch.dtype, device: torch.device
) -> Step:
    images = torch.randn(of.batch_size, of.channels, of.side, of.side, device=device)
    weights = torch.randn(of.channels, of.channels, of.kernel, of.kernel, device=device)
    x, kernels = (
        part.to(dtype).contiguous(memory_format=memory_format) for part in (images, weights)
    )
    return lambda: F.conv2d(x, kernels, padding=of.kernel // 2)


def _copied_bytes(device: torch.device) -> int:
    if device.type != "cpu":
        free_bytes, _ = torch.cuda.mem_get_info(device)
        has_room = COPIED_OF_FREE * free_bytes >= COPIED_ON_GPU_BYTES
        return COPIED_ON_GPU_BYTES if has_room else 2 * COPIED_BYTES
    return max(COPIED_BYTES, COPIED_BYTES_A_THREAD * torch.get_num_threads())


def _copy(size: int, dtype: torch.dtype, device: torch.device) -> Step:
    repeated = torch.randn(MIB // dtype.itemsize, device=device).to(dtype)
    source = repeated.repeat(size // MIB)
    target = torch.empty_like(source)
    return lambda: target.copy_(source)


@contextmanager
def _fastest_convolutions() -> Iterator[None]:
    """Have cuDNN try its algorithms out, which it does not do for a network unless asked."""
    before = torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = True
    try:
        yield
    finally:
        torch.backends.cudnn.benchmark = before
