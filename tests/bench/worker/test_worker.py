from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
import torch._inductor.config
from torch.cuda._utils import _get_device_index

from bench.cells import inputs
from bench.cells.cell import Cell
from bench.machine import pinned
from bench.worker.clock import CudaClock, HostClock, Step, Timing
from bench.worker.memory import DeviceMemory, Peaks
from bench.worker.protocol import Finish, Measure, Prepare, WarmUp
from bench.worker.worker import Worker, replays
from tests.bench import assembled

IMAGE_SIZE = 16


def cell_in(mode: str) -> Cell:
    return Cell(
        arch="tests.bench.tiny:net",
        mode=mode,
        dtype="fp32",
        batch_size=2,
        task="infer",
        device="cpu",
    )


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> Iterator[Worker]:
    torch._dynamo.reset()
    assembled.without_inductor(monkeypatch)
    worker = Worker()
    worker.prepare(Prepare(cell=cell_in("compile"), image_size=IMAGE_SIZE, seed=0))
    yield worker
    torch._dynamo.reset()


@pytest.mark.parametrize(
    ("mode", "is_cached", "in_process"),
    [("compile", True, True), ("compile", False, False), ("eager", True, False)],
)
def test_cached_code_starts_no_compile_processes(
    mode: str, is_cached: bool, in_process: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    assembled.without_inductor(monkeypatch)
    cell = cell_in(mode)
    with torch._inductor.config.patch(compile_threads=7):
        Worker().prepare(Prepare(cell=cell, image_size=IMAGE_SIZE, seed=0, is_cached=is_cached))
        assert torch._inductor.config.compile_threads == (1 if in_process else 7)


def add_batch_of_another_shape(worker: Worker) -> None:
    assert worker.subject is not None
    targets = worker.subject.task.batch.targets
    worker.subject.task.rotate([inputs.Batch((inputs.random_images(3, IMAGE_SIZE),), targets)])


def recompilations(worker: Worker) -> tuple[int, int, int]:
    facts = worker.finish(Finish())
    return (
        facts.recompiled_in_warm_up,
        facts.recompiled_graphs,
        facts.late_graph_breaks,
    )


def test_a_steady_program_is_not_recompiled(compiled: Worker) -> None:
    compiled.warm_up(WarmUp())
    compiled.measure(Measure(iterations=3))
    assert recompilations(compiled) == (0, 0, 0)


def test_recompilation_in_warm_up_is_counted_separately(compiled: Worker) -> None:
    add_batch_of_another_shape(compiled)
    compiled.warm_up(WarmUp())
    compiled.measure(Measure(iterations=3))
    assert recompilations(compiled) == (1, 0, 0)


def test_recompilation_in_the_rounds_is_counted(compiled: Worker) -> None:
    compiled.warm_up(WarmUp())
    add_batch_of_another_shape(compiled)
    compiled.measure(Measure(iterations=3))
    assert recompilations(compiled) == (0, 1, 0)


def test_the_clock_of_a_gpu_gets_the_flush(compiled: Worker) -> None:
    assert isinstance(compiled._clock(), HostClock)
    ready = compiled._ready()

    def flush() -> None: ...

    compiled.subject = replace(ready, flush=flush)
    compiled.device = torch.device("cuda")
    clock = compiled._clock()
    assert isinstance(clock, CudaClock)
    assert clock._flush is flush


def test_warm_up_ends_with_a_back_to_back_block(
    compiled: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CUDA loads kernels at their first launch; in a round that would look like foreign memory."""
    calls: list[str] = []

    class Clock(HostClock):
        def time(self, step: Step, iterations: int) -> Timing:
            calls.append("one by one")
            return super().time(step, iterations)

        def back_to_back(self, step: Step, iterations: int) -> None:
            assert iterations >= 2
            step()
            calls.append("back to back")

    monkeypatch.setattr(compiled, "_clock", Clock)
    compiled.warm_up(WarmUp())
    assert calls[-1] == "back to back"


@pytest.mark.parametrize(("device", "index"), [("cuda", 0), ("cuda:0", 0), ("cuda:1", 1)])
def test_the_device_is_selected_by_index_and_cudnn_is_pinned(
    monkeypatch: pytest.MonkeyPatch, device: str, index: int
) -> None:
    selected: list[int] = []
    # torch.cuda.set_device parses its argument like this, but then needs a real device.
    monkeypatch.setattr("torch.cuda.set_device", lambda d: selected.append(_get_device_index(d)))
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", not pinned.CUDNN_BENCHMARK)
    Worker()._use(device)
    assert selected == [index]
    assert torch.backends.cudnn.benchmark is pinned.CUDNN_BENCHMARK


@pytest.mark.parametrize(
    ("mode", "device", "graphs", "skips", "expected"),
    [
        ("eager", "cuda", 0, 0, False),
        ("cudagraphs", "cuda:1", 0, 0, True),  # captured without Inductor
        ("reduce-overhead", "cuda", 1, 0, True),
        ("reduce-overhead", "cuda", 1, 1, False),
        ("max-autotune", "cuda", 2, 1, True),
        ("max-autotune", "cpu", 1, 0, False),
    ],
)
def test_a_cell_replays_unless_inductor_skips_all_graphs(
    compiled: Worker, mode: str, device: str, graphs: int, skips: int, expected: bool
) -> None:
    cell = Cell(arch="x", mode=mode, dtype="fp32", batch_size=1, task="infer", device=device)
    assert compiled.subject is not None
    setup = replace(compiled.subject.setup, graphs=graphs, cudagraph_skips=skips)
    assert replays(cell, setup) is expected


@pytest.mark.parametrize("can_be_reset", [True, False])
def test_memory_on_a_cpu_is_known_only_if_the_peak_can_be_reset(
    compiled: Worker, monkeypatch: pytest.MonkeyPatch, can_be_reset: bool
) -> None:
    monkeypatch.setattr("bench.machine.resident.reset_peak", lambda: can_be_reset)
    compiled.warm_up(WarmUp())
    facts = compiled.finish(Finish())
    assert facts.peak_resident_bytes > 0
    assert (facts.peak_memory_bytes is not None) is can_be_reset


@pytest.mark.parametrize("is_replayed", [True, False])
def test_replayed_cells_report_reserved_memory(
    compiled: Worker, monkeypatch: pytest.MonkeyPatch, is_replayed: bool
) -> None:
    peaks = Peaks(resident_bytes=9, allocated_bytes=5, reserved_bytes=7)
    monkeypatch.setattr("bench.worker.memory.peaks", lambda *_: peaks)
    compiled.replays = is_replayed
    facts = compiled.finish(Finish())
    assert facts.peak_memory_bytes == (7 if is_replayed else 5)
    assert facts.memory_is_reserved is is_replayed


def test_memory_of_the_measurement_does_not_count_as_the_network_s(
    compiled: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda _: 700)
    monkeypatch.setattr(torch.cuda, "max_memory_reserved", lambda _: 900)
    apparatus = DeviceMemory(allocated_bytes=200, reserved_bytes=300)
    compiled.subject = replace(compiled._ready(), apparatus=apparatus)
    compiled.device = torch.device("cuda")
    facts = compiled.finish(Finish())
    assert (facts.peak_allocated_bytes, facts.peak_reserved_bytes) == (500, 600)
    assert facts.peak_memory_bytes == 500
