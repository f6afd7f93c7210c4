"""A simulated ``torch.cuda``: the devices use the host's memory and have their own time.

The CPU executes launched work immediately. On the simulated timeline, the work starts when earlier
work ends and takes the host's time divided by the device's speed. The device therefore lags behind
a fast host, and waits for a slow one.

Not simulated: host tensors and device tensors are not distinguished; there are no Triton kernels,
and Inductor replays no graphs; memory figures are constants, and only a directly allocated tensor
can be too large; a graph's replay writes only results that are single tensors.
"""

import os
import time
from collections.abc import Callable
from statistics import median
from types import SimpleNamespace
from typing import Any

from tests.bench.rehearsal import NAME, devices, graphs
from tests.bench.rehearsal.timeline import Timeline

MEMORY_BYTES, L2_BYTES, CONTEXT_BYTES = 8 * 2**30, 2 * 2**20, 300 * 2**20
LARGEST_BYTES = 2**28  # of one tensor; a larger one raises an out-of-memory error
CYCLES_PER_S = 1.5e9
FACTORIES = ("empty", "full", "ones", "rand", "randint", "randn", "zeros")


class Driver:
    """The state of CUDA in a process, which must not use CUDA if its parent did before the fork."""

    def __init__(self) -> None:
        self.device = 0
        self._pid: int | None = None

    def use(self) -> None:
        """Raise ``RuntimeError`` if CUDA was initialised in another process."""
        self._pid = self._pid or os.getpid()
        if self._pid != os.getpid():
            raise RuntimeError(
                "Cannot re-initialize CUDA in forked subprocess. To use CUDA with multiprocessing, "
                "you must use the 'spawn' start method"
            )


def install(torch: Any) -> None:
    """Replace ``torch.cuda`` by the simulated devices."""
    cuda, timeline, driver = torch.cuda, Timeline(), Driver()
    _place_tensors(torch, driver)
    _replace_devices(torch, driver)
    _replace_memory(cuda, driver)
    _replace_time(cuda, timeline, driver)
    graphs.install(torch, timeline)
    # torch.compile queries these instead of torch.cuda.
    torch.accelerator.is_available = lambda: False  # its streams are in the C++ library
    torch.accelerator.current_accelerator = lambda check_available=False: None
    torch._C._accelerator_getDeviceIndex = lambda: 0


def _place_tensors(torch: Any, driver: Driver) -> None:
    """Create tensors for a simulated device in the host's memory."""

    def is_device(argument: Any) -> bool:
        """Whether an argument names a CUDA device, which must be the current one."""
        if not isinstance(argument, str | torch.device) or not str(argument).startswith("cuda"):
            return False
        driver.use()
        index = torch.device(argument).index
        if index is not None and index >= devices():
            raise RuntimeError("CUDA error: invalid device ordinal")
        # PyTorch allows another device, but events and streams would not be on the tensor's.
        assert index in {None, driver.device}, (
            f"{argument}, but cuda:{driver.device} is the current device"
        )
        return True

    def placed(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            on_device = [each for each in (*args, kwargs.get("device")) if is_device(each)]
            args = tuple("cpu" if is_device(each) else each for each in args)
            if is_device(kwargs.get("device")):
                kwargs["device"] = "cpu"
            tensor = function(*args, **kwargs)
            if on_device and tensor.nbytes > LARGEST_BYTES:
                raise torch.OutOfMemoryError(
                    f"CUDA out of memory. Tried to allocate {tensor.nbytes / 2**30:.2f} GiB. GPU 0 "
                    f"has a total capacity of {MEMORY_BYTES / 2**30:.2f} GiB of which "
                    f"{LARGEST_BYTES / 2**20:.2f} MiB is free. Including non-PyTorch memory, this "
                    "process has 1.00 GiB memory in use."
                )
            return tensor

        return call

    for name in FACTORIES:
        setattr(torch, name, placed(getattr(torch, name)))
    torch.Tensor.to = placed(torch.Tensor.to)
    torch.Tensor.cuda = torch.nn.Module.cuda = lambda self, *_: self
    torch.Tensor.is_cuda = property(lambda self: self.device.type == "cpu")


def _replace_devices(torch: Any, driver: Driver) -> None:
    cuda = torch.cuda

    def set_device(device: Any) -> None:
        driver.use()
        index = device if isinstance(device, int) else torch.device(device).index
        if index is None or index >= devices():
            raise ValueError(f"Expected a torch.device with a specified index, but got: {device}")
        driver.device = index

    cuda.is_available, cuda.device_count = lambda: True, devices
    cuda.set_device, cuda.current_device = set_device, lambda: driver.device
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


def _replace_memory(cuda: Any, driver: Driver) -> None:
    def constant(value: Any) -> Callable[..., Any]:
        def answer_query(device: Any = None) -> Any:
            del device
            driver.use()
            return value

        return answer_query

    for name in ("memory_allocated", "max_memory_allocated"):
        setattr(cuda, name, constant(64 * 2**20))
    for name in ("memory_reserved", "max_memory_reserved"):
        setattr(cuda, name, constant(80 * 2**20))
    cuda.empty_cache = lambda: None
    cuda.reset_peak_memory_stats = constant(None)
    cuda.mem_get_info = constant((MEMORY_BYTES - CONTEXT_BYTES, MEMORY_BYTES))


def _replace_time(cuda: Any, timeline: Timeline, driver: Driver) -> None:
    class Event:
        def __init__(self, enable_timing: bool = False, **_: Any) -> None:
            self.is_timed = enable_timing
            self.at: float | None = None

        def record(self, stream: Any = None) -> None:
            del stream
            driver.use()
            self.at = timeline.reach()

        def query(self) -> bool:
            return self.at is None or self.at <= time.perf_counter()

        def wait(self, stream: Any = None) -> None:
            """There is only one stream."""

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

    def synchronize(device: Any = None) -> None:
        del device
        driver.use()
        timeline.wait()

    cuda.synchronize = synchronize
    cuda._sleep = lambda cycles: timeline.sleep(cycles / CYCLES_PER_S)


def timer() -> float:
    """Return the time for ``torch.utils.benchmark``, after synchronising the device."""
    import torch

    torch.cuda.synchronize()
    return time.perf_counter()


def do_bench(step: Callable[[], object], rep: float, return_mode: str) -> float:
    """Replace Triton's ``do_bench``, which compiles a kernel; return the median time in ms."""
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
