"""``torch.cuda`` of devices that are played: their memory is the host's, their time their own.

What is launched is done by the CPU at once. The device is said to have taken so many times as long
as the host, and to have begun it when it was done with what came before: so that it lags behind a
fast host, and waits for a slow one.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from statistics import median
from types import SimpleNamespace
from typing import Any

from tests.bench.rehearsal import NAME, devices, speed

MEMORY_BYTES, L2_BYTES, CONTEXT_BYTES = 8 * 2**30, 2 * 2**20, 300 * 2**20
LARGEST_BYTES = 2**28  # of a tensor: a larger one is said not to fit
CYCLES_PER_S = 1.5e9
FACTORIES = ("empty", "full", "ones", "rand", "randint", "randn", "zeros")


class Timeline:
    """When the device will be done with what it was given, by the host's clock, in seconds."""

    def __init__(self) -> None:
        self._slowness = 1 / speed()
        self._free_at = self._since = time.perf_counter()
        self._is_idle = True
        self.captures = False

    def reach(self) -> float:
        """When what was launched until now will be done."""
        now = time.perf_counter()
        worked = 0.0 if self._is_idle else (now - self._since) * self._slowness
        self._free_at = max(self._free_at + worked, now)
        self._since, self._is_idle = now, False
        return self._free_at

    def sleep(self, seconds: float) -> None:
        """Have the device do nothing for so long, while the host goes on."""
        self._free_at = self.reach() + seconds

    def wait(self) -> None:
        """Wait until it is done."""
        if self.captures:
            raise RuntimeError("operation not permitted when stream is capturing")
        time.sleep(max(0.0, self.reach() - time.perf_counter()))
        self._is_idle = True


def play(torch: Any) -> None:
    """Have this PyTorch see the devices."""
    cuda, timeline = torch.cuda, Timeline()
    _place_tensors(torch)
    _tell_of_devices(torch)
    _tell_of_memory(cuda)
    _keep_time(cuda, timeline)
    _capture(torch, timeline)
    # What torch.compile asks of whichever accelerator there is, past torch.cuda.
    torch.accelerator.is_available = lambda: False
    torch.accelerator.current_accelerator = lambda check_available=False: None
    torch._C._accelerator_getDeviceIndex = lambda: 0


def _place_tensors(torch: Any) -> None:
    """Let tensors that are asked for on a device lie in the host's memory."""

    def placed(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*given: Any, **named: Any) -> Any:
            asked = [each for each in (*given, named.get("device")) if _is_device(torch, each)]
            given = tuple("cpu" if _is_device(torch, each) else each for each in given)
            if _is_device(torch, named.get("device")):
                named["device"] = "cpu"
            found = function(*given, **named)
            if asked and found.nbytes > LARGEST_BYTES:
                raise torch.OutOfMemoryError(
                    f"CUDA out of memory. Tried to allocate {found.nbytes / 2**30:.2f} GiB. GPU 0 "
                    f"has a total capacity of {MEMORY_BYTES / 2**30:.2f} GiB of which "
                    f"{LARGEST_BYTES / 2**20:.2f} MiB is free. Including non-PyTorch memory, this "
                    "process has 1.00 GiB memory in use."
                )
            return found

        return call

    for name in FACTORIES:
        setattr(torch, name, placed(getattr(torch, name)))
    torch.Tensor.to = placed(torch.Tensor.to)
    torch.Tensor.cuda = torch.nn.Module.cuda = lambda self, *_: self
    torch.Tensor.is_cuda = property(lambda self: self.device.type == "cpu")


def _is_device(torch: Any, given: Any) -> bool:
    """Whether an argument says to put a tensor on a CUDA device that is there."""
    if not isinstance(given, str | torch.device) or not str(given).startswith("cuda"):
        return False
    if (torch.device(given).index or 0) >= devices():
        raise RuntimeError("CUDA error: invalid device ordinal")
    return True


def _tell_of_devices(torch: Any) -> None:
    cuda = torch.cuda
    now = SimpleNamespace(device=0)

    def set_device(device: Any) -> None:
        index = device if isinstance(device, int) else torch.device(device).index
        if index is None or index >= devices():
            raise ValueError(f"Expected a torch.device with a specified index, but got: {device}")
        now.device = index

    cuda.is_available, cuda.device_count = lambda: True, devices
    cuda.set_device, cuda.current_device = set_device, lambda: now.device
    cuda._lazy_init = cuda.init = lambda: None
    cuda.get_device_name = lambda device=None: NAME
    cuda.get_device_capability = lambda device=None: (9, 0)
    cuda.get_device_properties = lambda device=None: SimpleNamespace(
        name=NAME,
        total_memory=MEMORY_BYTES,
        L2_cache_size=L2_BYTES,
        major=9,
        minor=0,
        multi_processor_count=1,
    )
    cuda.get_rng_state = lambda device="cuda": torch.get_rng_state()
    cuda.set_rng_state = lambda state, device="cuda": None


def _tell_of_memory(cuda: Any) -> None:
    for name in ("memory_allocated", "max_memory_allocated"):
        setattr(cuda, name, lambda device=None: 64 * 2**20)
    for name in ("memory_reserved", "max_memory_reserved"):
        setattr(cuda, name, lambda device=None: 80 * 2**20)
    cuda.empty_cache = lambda: None
    cuda.reset_peak_memory_stats = lambda device=None: None
    cuda.mem_get_info = lambda device=None: (MEMORY_BYTES - CONTEXT_BYTES, MEMORY_BYTES)


def _keep_time(cuda: Any, timeline: Timeline) -> None:
    class Event:
        def __init__(self, enable_timing: bool = False, **_: Any) -> None:
            self.is_timed = enable_timing
            self.at: float | None = None

        def record(self, stream: Any = None) -> None:
            del stream
            self.at = timeline.reach()

        def query(self) -> bool:
            return self.at is None or self.at <= time.perf_counter()

        def wait(self, stream: Any = None) -> None:
            """All streams are one."""

        def synchronize(self) -> None:
            time.sleep(max(0.0, (self.at or 0.0) - time.perf_counter()))

        def elapsed_time(self, other: "Event") -> float:
            if not (self.is_timed and other.is_timed):
                raise ValueError("Both events must be created with argument 'enable_timing=True'.")
            if self.at is None or other.at is None:
                raise ValueError("Both events must be recorded before calculating elapsed time.")
            if not (self.query() and other.query()):
                raise RuntimeError("CUDA error: device not ready")
            return (other.at - self.at) * 1e3

    cuda.Event = Event
    cuda.synchronize = lambda device=None: timeline.wait()
    cuda._sleep = lambda cycles: timeline.sleep(cycles / CYCLES_PER_S)


def _capture(torch: Any, timeline: Timeline) -> None:
    """CUDA graphs: what was run when one was captured is run again, into the same tensors."""
    from torch.utils._python_dispatch import TorchDispatchMode

    class Recorder(TorchDispatchMode):
        def __init__(self) -> None:
            super().__init__()  # type: ignore[no-untyped-call]
            self.calls: list[tuple[Any, Any, Any, Any]] = []

        def __torch_dispatch__(
            self, operator: Any, types: Any, given: Any = (), named: Any = None
        ) -> Any:
            found = operator(*given, **(named or {}))
            self.calls.append((operator, given, named or {}, found))
            return found

    class CUDAGraph:
        def __init__(self) -> None:
            self.calls: list[tuple[Any, Any, Any, Any]] = []

        def replay(self) -> None:
            for operator, given, named, found in self.calls:
                again = operator(*given, **named)
                if isinstance(found, torch.Tensor) and again.data_ptr() != found.data_ptr():
                    found.copy_(again)

    class Stream:
        def __init__(self, *_: Any, **__: Any) -> None:
            """All are one."""

        def wait_stream(self, other: "Stream") -> None:
            """All are one."""

        def query(self) -> bool:
            return True

    @contextmanager
    def graph(found: CUDAGraph, **_: Any) -> Iterator[None]:
        timeline.captures = True
        try:
            with Recorder() as recorder:
                yield
        finally:
            timeline.captures = False
        found.calls = recorder.calls

    here = Stream()
    cuda = torch.cuda
    cuda.CUDAGraph, cuda.Stream, cuda.graph = CUDAGraph, Stream, graph
    cuda.current_stream, cuda.stream = lambda device=None: here, lambda stream: nullcontext()
    cuda.is_current_stream_capturing = lambda: timeline.captures


def do_bench(step: Callable[[], object], rep: float, return_mode: str) -> float:
    """Triton's, which compiles its own buffer's kernel: median milliseconds between two events."""
    import torch

    assert return_mode == "median"
    spans_ms: list[float] = []
    start = time.perf_counter()
    while not spans_ms or time.perf_counter() - start < rep / 1e3:
        before, after = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        before.record()
        step()
        after.record()
        torch.cuda.synchronize()
        spans_ms.append(before.elapsed_time(after))
    return median(spans_ms)
