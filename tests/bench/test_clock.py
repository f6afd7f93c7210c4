import pytest
import torch

from bench import clock
from bench.clock import CudaClock, HostClock, Timing

CPU = torch.device("cpu")


class FakeTime:
    """A clock that stands still but for what a step takes."""

    def __init__(self, durations_s: list[float]) -> None:
        self._now_s = 1024.0
        self._durations_s = durations_s
        self.steps = 0

    def now(self) -> float:
        return self._now_s

    def step(self) -> None:
        self._now_s += self._durations_s[self.steps]
        self.steps += 1


# Sums of powers of two: adding and subtracting them is exact.
@pytest.mark.parametrize("durations_s", [[], [0.5], [0.5, 0.25, 2.0, 0.125]])
def test_host_clock_times_each_step_and_nothing_around_it(durations_s: list[float]) -> None:
    time = FakeTime(durations_s)
    timing = HostClock(time.now).time(time.step, len(durations_s))
    assert timing == Timing(host_s=tuple(durations_s), device_s=())
    assert time.steps == len(durations_s)


def test_an_error_in_a_step_is_the_callers() -> None:
    def step() -> None:
        raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        HostClock().time(step, 1)


def test_a_real_clock_only_goes_forward() -> None:
    timing = HostClock().time(lambda: sum(range(1000)), 3)
    assert len(timing.host_s) == 3
    assert all(sample > 0 for sample in timing.host_s)


def test_each_device_has_its_clock() -> None:
    assert isinstance(clock.for_device(CPU), HostClock)
    assert isinstance(clock.for_device(torch.device("cuda:0")), CudaClock)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
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
