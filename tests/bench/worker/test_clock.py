import math
from collections.abc import Callable

import pytest
import torch

from bench.records.record import BackToBack
from bench.worker import clock
from bench.worker.clock import CudaClock, HostClock, Step, Timing, stall_cycles

CPU = torch.device("cpu")


class FakeTime:
    """A time source that advances only during a step."""

    def __init__(self, durations_s: list[float]) -> None:
        self._now_s = 1024.0
        self._durations_s = durations_s
        self.steps = 0

    def now(self) -> float:
        return self._now_s

    def step(self) -> None:
        self._now_s += self._durations_s[self.steps]
        self.steps += 1


# Powers of two, so that adding and subtracting them is exact.
@pytest.mark.parametrize("durations_s", [[], [0.5], [0.5, 0.25, 2.0, 0.125]])
def test_host_clock_times_each_step_and_nothing_else(durations_s: list[float]) -> None:
    time = FakeTime(durations_s)
    timing = HostClock(time.now).time(time.step, len(durations_s))
    assert timing == Timing(host_s=tuple(durations_s), device_s=())
    assert time.steps == len(durations_s)


def test_an_error_in_a_step_passes_through() -> None:
    def step() -> None:
        raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        HostClock().time(step, 1)


def test_a_real_clock_only_goes_forward() -> None:
    timing = HostClock().time(lambda: sum(range(1000)), 3)
    assert len(timing.host_s) == 3
    assert all(sample > 0 for sample in timing.host_s)


@pytest.mark.parametrize(
    ("enqueue_s", "stall_s"), [(0.0, 1e-3), (1e-4, 1e-3), (0.01, 0.03), (1.0, 0.5)]
)
def test_the_sleep_lasts_three_calls_within_its_limits(enqueue_s: float, stall_s: float) -> None:
    assert stall_cycles(enqueue_s) == pytest.approx(stall_s * 3e9)


def test_host_clock_has_no_back_to_back_timing() -> None:
    time = FakeTime([])
    assert HostClock(time.now).back_to_back(time.step, 5) is None  # type: ignore[func-returns-value]
    assert time.steps == 0


def test_each_device_has_its_clock() -> None:
    assert isinstance(clock.for_device(CPU), HostClock)
    assert isinstance(clock.for_device(torch.device("cuda:0")), CudaClock)


class FakeGpu:
    """A device whose work takes no time; logs the calls in order."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.log: list[str] = []
        monkeypatch.setattr("torch.cuda.synchronize", lambda _: self.log.append("wait"))
        monkeypatch.setattr("torch.cuda.Event", self.event)

    def event(self, *, enable_timing: bool) -> "FakeGpu":
        assert enable_timing
        return self

    def record(self) -> None:
        self.log.append("event")

    def elapsed_time(self, _other: "FakeGpu") -> float:
        return 2.0  # ms

    def now(self) -> float:
        self.log.append("now")
        return 0.0

    def logs(self, entry: str) -> Step:
        return lambda: self.log.append(entry)


CREATED = ["event", "event", "wait"]  # the first recording creates an event
TIMED = ["now", "event", "step", "event", "wait", "now"]


def test_the_wait_for_the_device_is_in_the_host_time_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gpu = FakeGpu(monkeypatch)
    timing = CudaClock(torch.device("cuda"), gpu.now).time(gpu.logs("step"), 2)
    assert gpu.log == [*CREATED, *TIMED, *TIMED]
    assert timing == Timing(host_s=(0.0, 0.0), device_s=(2e-3, 2e-3))


def test_a_flush_ends_before_each_iteration_is_timed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gpu = FakeGpu(monkeypatch)
    timer = CudaClock(torch.device("cuda"), gpu.now, flush=gpu.logs("flush"))
    timer.time(gpu.logs("step"), 2)
    assert gpu.log == [*CREATED, *2 * ["flush", "wait", *TIMED]]


class BusyGpu:
    """A device with its own time, in powers of two, so that sums and differences are exact.

    Recording an event takes the host 1/16 s. A step takes the host ``call_s``, and the device then
    works for 1/2 s.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, call_s: float) -> None:
        self.log: list[str] = []
        self._call_s = call_s
        self._host_s = self._idle_from_s = 0.0
        monkeypatch.setattr("torch.cuda.synchronize", self.wait)
        monkeypatch.setattr("torch.cuda.Event", self.event)
        monkeypatch.setattr("torch.cuda._sleep", self.sleep)

    def event(self, *, enable_timing: bool) -> "BusyGpuEvent":
        assert enable_timing
        return BusyGpuEvent(self)

    def reach(self) -> float:
        """Return when the device reaches an event that the host records now."""
        self.log.append("event")
        self._host_s += 1 / 16
        return max(self._idle_from_s, self._host_s)

    def now(self) -> float:
        self.log.append("now")
        return self._host_s

    def step(self) -> None:
        self.log.append("step")
        self._host_s += self._call_s
        self._work(0.5)

    def sleep(self, cycles: int) -> None:
        self.log.append("sleep")
        self._work(cycles / 3e9)

    def wait(self, _: torch.device) -> None:
        self.log.append("wait")
        self._host_s = max(self._host_s, self._idle_from_s)

    def _work(self, seconds: float) -> None:
        self._idle_from_s = max(self._idle_from_s, self._host_s) + seconds


class BusyGpuEvent:
    def __init__(self, gpu: BusyGpu) -> None:
        self._gpu = gpu
        self.at_s = math.nan

    def record(self) -> None:
        self.at_s = self._gpu.reach()

    def elapsed_time(self, other: "BusyGpuEvent") -> float:
        return (other.at_s - self.at_s) * 1e3  # ms


def test_a_block_is_timed_together_and_in_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = BusyGpu(monkeypatch, call_s=1 / 16)
    block = CudaClock(torch.device("cuda"), gpu.now).back_to_back(gpu.step, 3)
    assert gpu.log == [
        *CREATED,
        *("now", "event", "step", "now", "step", "step", "event", "now", "wait", "now"),
        *3 * ["event"],
        *("now", "event", "sleep", "event", "step", "event", "now", "wait"),
    ]
    assert block == BackToBack(
        iterations=3,
        enqueue_s=5 / 16,  # three calls and two events
        host_s=1 / 16 + 1 / 16 + 3 / 2,  # an event, the first call, and the device's work
        device_s=1 / 16 + 3 / 2,
        busy_s=1 / 2,
    )


def test_busy_time_is_unknown_if_a_call_takes_longer_than_the_sleep(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gpu = BusyGpu(monkeypatch, call_s=1.0)  # the sleep lasts 0.5 s at most
    block = CudaClock(torch.device("cuda"), gpu.now).back_to_back(gpu.step, 2)
    assert block.busy_s is None
    assert block.device_s == 2 + 1 / 2  # the device waits for both calls


@pytest.mark.gpu
def test_cuda_clock_waits_for_the_device() -> None:
    device = torch.device("cuda")
    square = torch.ones(2048, 2048, device=device)
    steps = []

    def step() -> None:
        steps.append(square @ square)

    timing = CudaClock(device).time(step, 5)
    assert len(steps) == len(timing.host_s) == len(timing.device_s) == 5
    assert all(
        0 < device_s <= host_s
        for host_s, device_s in zip(timing.host_s, timing.device_s, strict=True)
    )


@pytest.mark.gpu
def test_a_flush_on_the_device_is_not_timed() -> None:
    device = torch.device("cuda")
    small, large = torch.ones(1024, device=device), torch.ones(8192, 8192, device=device)

    def flush() -> None:
        large @ large  # a TFLOP: takes milliseconds

    timer = CudaClock(device)
    alone = timer.time(flush, 3)
    timing = CudaClock(device, flush=flush).time(small.zero_, 20)
    assert len(timing.host_s) == len(timing.device_s) == 20
    assert sorted(timing.host_s)[10] < min(alone.host_s) / 2
    assert sorted(timing.device_s)[10] < min(alone.device_s) / 2


LAUNCHES = 200  # per step: as many as GoogLeNet has, and few enough for the queue of a device


def _launching(side: int, device: torch.device) -> Callable[[], None]:
    square = torch.ones(side, side, device=device)

    def step() -> None:
        for _ in range(LAUNCHES):
            torch.mm(square, square)

    return step


@pytest.mark.gpu
@pytest.mark.parametrize(("side", "is_launch_bound"), [(4, True), (2048, False)])
def test_a_block_distinguishes_a_waiting_device_from_a_busy_one(
    side: int, is_launch_bound: bool
) -> None:
    device = torch.device("cuda")
    timer, step = CudaClock(device), _launching(side, device)
    timer.time(step, 3)
    block = timer.back_to_back(step, 5)
    assert block.iterations == 5
    assert 0 < block.enqueue_s <= block.host_s
    assert 0 < block.device_s <= block.host_s
    assert block.busy_s is not None
    busy_share = block.busy_s * block.iterations / block.host_s
    assert busy_share < 0.9 if is_launch_bound else 0.9 < busy_share < 1.1


@pytest.mark.gpu
def test_busy_time_is_unknown_for_a_step_that_waits_for_the_device() -> None:
    device = torch.device("cuda")
    value = torch.ones(1, device=device)
    timer = CudaClock(device)
    timer.time(value.item, 3)
    assert timer.back_to_back(value.item, 3).busy_s is None
