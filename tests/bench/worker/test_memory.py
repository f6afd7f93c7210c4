import sys

import pytest
import torch

from bench.worker import memory
from bench.worker.memory import DeviceMemory

CPU = torch.device("cpu")
SIZE = 128 * 2**20  # bytes: far more than other allocations of this process in the meantime

linux = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc of Linux")


def resident(size: int) -> bytearray:
    """Return a buffer of ``size`` bytes that is resident because it has been written."""
    return bytearray(b"x") * size


def test_the_cpu_has_one_peak() -> None:
    peaks = memory.peaks(CPU)
    assert peaks.resident_bytes > 0
    assert peaks.allocated_bytes is peaks.reserved_bytes is None


@linux
@pytest.mark.parametrize("kind", ["bytearray", "tensor"])
def test_the_peak_after_a_reset_is_the_memory_allocated_since(kind: str) -> None:
    memory.reset_peak(CPU)
    before = memory.peaks(CPU).resident_bytes
    buffer = resident(SIZE) if kind == "bytearray" else torch.ones(SIZE, dtype=torch.uint8)
    del buffer
    assert memory.peaks(CPU).resident_bytes - before == pytest.approx(SIZE, rel=0.2)


@linux
def test_a_reset_forgets_earlier_peaks() -> None:
    buffer = resident(SIZE)
    del buffer
    high = memory.peaks(CPU).resident_bytes
    memory.reset_peak(CPU)
    assert high - memory.peaks(CPU).resident_bytes > SIZE / 2


def test_reset_peak_returns_none_if_the_peak_cannot_be_reset(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("bench.machine.resident.reset_peak", lambda: False)
    assert memory.reset_peak(CPU) is None


@pytest.mark.parametrize(("device", "counts"), [("cpu", True), ("cuda", False)])
def test_host_memory_of_a_gpu_worker_excludes_shared_files(
    device: str, counts: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    resident_bytes = 2**50
    monkeypatch.setattr("bench.machine.resident.peak_bytes", lambda: resident_bytes)
    for name in ("max_memory_reserved", "memory_reserved"):
        monkeypatch.setattr(torch.cuda, name, lambda _: 0)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (0, 0))
    sizes = memory.footprint(0, torch.device(device))
    assert (sizes.host_bytes == resident_bytes) is counts


def test_a_reset_frees_unused_device_memory_and_forgets_the_peak(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls: list[str] = []
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: calls.append("free"))
    monkeypatch.setattr(
        torch.cuda, "reset_peak_memory_stats", lambda device: calls.append(f"reset {device}")
    )
    memory.reset_peak(torch.device("cuda:1"))
    assert calls == ["free", "reset cuda:1"]


def test_memory_of_the_measurement_is_subtracted_from_both_peaks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda _: 700)
    monkeypatch.setattr(torch.cuda, "max_memory_reserved", lambda _: 900)
    apparatus = DeviceMemory(allocated_bytes=200, reserved_bytes=300)
    peaks = memory.peaks(torch.device("cuda"), apparatus)
    assert (peaks.allocated_bytes, peaks.reserved_bytes) == (500, 600)


def test_memory_in_use_is_read_after_unused_memory_was_freed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reserved = [900]
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: reserved.append(800))
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda _: 700)
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda _: reserved[-1])
    before = DeviceMemory(allocated_bytes=100, reserved_bytes=300)
    assert memory.in_use(torch.device("cuda")) == (700, 800)
    assert memory.in_use(torch.device("cuda")).increase_over(before) == (600, 500)
    assert memory.in_use(CPU) == (0, 0)


@pytest.mark.gpu
def test_peaks_of_the_allocator_include_all_allocations() -> None:
    device = torch.device("cuda")
    memory.reset_peak(device)
    before = torch.cuda.memory_allocated(device)
    tensor = torch.ones(SIZE, dtype=torch.uint8, device=device)
    del tensor
    peaks = memory.peaks(device)
    assert peaks.allocated_bytes is not None
    assert peaks.reserved_bytes is not None
    assert peaks.allocated_bytes - before == SIZE
    assert peaks.reserved_bytes >= peaks.allocated_bytes
