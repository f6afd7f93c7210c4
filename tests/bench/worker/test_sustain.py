import time
from typing import ClassVar

import pytest
import torch

from bench.worker.sustain import IN_FLIGHT, sustain

CPU = torch.device("cpu")


def test_iterations_continue_for_the_requested_time() -> None:
    now_s, steps = [0.0], []

    def step() -> None:
        steps.append(now_s[0])
        now_s[0] += 0.75

    result = sustain(step, 2.0, CPU, now=lambda: now_s[0])
    assert steps == [0.0, 0.75, 1.5]
    assert (result.iterations, result.wall_s) == (3, 2.25)


def test_an_error_in_a_step_passes_through() -> None:
    def step() -> None:
        raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        sustain(step, 1.0, CPU)


class FakeEvent:
    """An event that logs when the host waits for it; ``log`` is shared."""

    log: ClassVar[list[str]] = []
    count = 0

    def __init__(self) -> None:
        FakeEvent.count += 1
        self._name = f"event {FakeEvent.count}"

    def record(self) -> None:
        self.log.append(self._name)

    def synchronize(self) -> None:
        self.log.append(f"wait for {self._name}")


def test_a_device_has_eight_iterations_in_flight_and_ends_them_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    log: list[str] = []
    monkeypatch.setattr(FakeEvent, "log", log)
    monkeypatch.setattr(FakeEvent, "count", 0)
    monkeypatch.setattr("torch.cuda.Event", FakeEvent)
    monkeypatch.setattr("torch.cuda.synchronize", lambda _: log.append("wait for all"))
    now_s = iter([0.0, *range(1, 11), 10.5, 12.0])
    result = sustain(lambda: log.append("step"), 10.5, torch.device("cuda"), lambda: next(now_s))
    first = [entry for index in range(1, 9) for entry in ("step", f"event {index}")]
    assert log == [
        *first,
        *("step", "event 9", "wait for event 1"),
        *("step", "event 10", "wait for event 2"),
        "wait for all",
    ]
    assert (result.iterations, result.wall_s) == (10, 12.0)  # includes the wait


@pytest.mark.gpu
def test_sustain_waits_for_all_work_and_ends_on_time() -> None:
    device = torch.device("cuda")
    square = torch.ones(4096, 4096, device=device)
    torch.cuda.synchronize()
    start = time.perf_counter()
    _ = [square @ square for _ in range(10)]
    torch.cuda.synchronize()
    step_s = (time.perf_counter() - start) / 10
    result = sustain(lambda: square @ square, 0.5, device)
    assert torch.cuda.current_stream(device).query()  # all work is done
    assert 0.5 <= result.wall_s < 0.5 + 10 * (IN_FLIGHT + 2) * step_s + 0.1
    assert result.iterations > 1
