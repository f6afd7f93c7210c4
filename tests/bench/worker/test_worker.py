from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
import torch._inductor.config
from torch import nn
from torch.cuda._utils import _get_device_index

from bench.cells import inputs
from bench.cells.cell import Cell
from bench.machine import environment
from bench.worker.clock import CudaClock, HostClock, Step, Timing
from bench.worker.worker import Worker, replays

IMAGE_SIZE = 16


def as_it_is(mode: str, model: nn.Module) -> nn.Module:
    """What Dynamo captures, run without Inductor, which takes half a minute."""
    del mode
    return torch.compile(model, backend="eager", dynamic=False)  # type: ignore[return-value]


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> Iterator[Worker]:
    torch._dynamo.reset()
    monkeypatch.setattr("bench.cells.modes.apply", as_it_is)
    worker = Worker()
    cell = {"arch": "tests.bench.tiny:net", "mode": "compile", "dtype": "fp32", "batch_size": 2}
    worker.prepare({**cell, "task": "infer", "device": "cpu"}, image_size=IMAGE_SIZE, seed=0)
    yield worker
    torch._dynamo.reset()


@pytest.mark.parametrize(
    ("mode", "is_cached", "starts_none"),
    [("compile", True, True), ("compile", False, False), ("eager", True, False)],
)
def test_what_is_cached_starts_no_processes_to_compile_in(
    mode: str, is_cached: bool, starts_none: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.cells.modes.apply", as_it_is)
    cell = {"arch": "tests.bench.tiny:net", "mode": mode, "dtype": "fp32", "batch_size": 2}
    cell |= {"task": "infer", "device": "cpu"}
    with torch._inductor.config.patch(compile_threads=7):
        Worker().prepare(cell, IMAGE_SIZE, seed=0, is_cached=is_cached)
        assert torch._inductor.config.compile_threads == (1 if starts_none else 7)


def give_another_shape(worker: Worker) -> None:
    assert worker.subject is not None
    targets = worker.subject.task.batch.targets
    worker.subject.task.rotate([inputs.Batch(inputs.random_images(3, IMAGE_SIZE), targets)])


def counted(worker: Worker) -> tuple[int, int, int]:
    found = worker.finish()
    return (
        found["recompiled_in_warm_up"],
        found["recompiled_graphs"],
        found["late_graph_breaks"],
    )


def test_one_program_is_compiled_once(compiled: Worker) -> None:
    compiled.warm_up()
    compiled.measure(3)
    assert counted(compiled) == (0, 0, 0)


def test_what_is_compiled_while_warming_up_is_not_of_the_rounds(compiled: Worker) -> None:
    give_another_shape(compiled)
    compiled.warm_up()
    compiled.measure(3)
    assert counted(compiled) == (1, 0, 0)


def test_what_is_compiled_in_the_rounds_is_counted(compiled: Worker) -> None:
    compiled.warm_up()
    give_another_shape(compiled)
    compiled.measure(3)
    assert counted(compiled) == (0, 1, 0)


def test_a_cache_is_emptied_before_each_iteration_where_there_is_how(compiled: Worker) -> None:
    assert isinstance(compiled._clock(), HostClock)
    ready = compiled._ready()

    def flush() -> None: ...

    compiled.subject = replace(ready, flush=flush)
    compiled.device = torch.device("cuda")
    own = compiled._clock()
    assert isinstance(own, CudaClock)
    assert own._flush is flush


def test_a_block_is_launched_before_any_round_s(
    compiled: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What CUDA loads at a first launch would look like a stranger's memory on the card."""
    seen: list[str] = []

    class Clock(HostClock):
        def time(self, step: Step, iterations: int) -> Timing:
            seen.append("one by one")
            return super().time(step, iterations)

        def back_to_back(self, step: Step, iterations: int) -> None:
            assert iterations >= 2
            step()
            seen.append("back to back")

    monkeypatch.setattr(compiled, "_clock", Clock)
    compiled.warm_up()
    assert seen[-1] == "back to back"


@pytest.mark.parametrize(("device", "index"), [("cuda", 0), ("cuda:0", 0), ("cuda:1", 1)])
def test_a_device_is_chosen_by_its_index_and_cudnn_pinned(
    monkeypatch: pytest.MonkeyPatch, device: str, index: int
) -> None:
    chosen: list[int] = []
    # torch.cuda.set_device reads its argument like this, and then needs a device.
    monkeypatch.setattr("torch.cuda.set_device", lambda d: chosen.append(_get_device_index(d)))
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", not environment.CUDNN_BENCHMARK)
    Worker()._use(device)
    assert chosen == [index]
    assert torch.backends.cudnn.benchmark is environment.CUDNN_BENCHMARK


@pytest.mark.parametrize(
    ("mode", "device", "graphs", "skips", "expected"),
    [
        ("eager", "cuda", 0, 0, False),
        ("cudagraphs", "cuda:1", 0, 0, True),  # captured by us: Inductor has no part in it
        ("reduce-overhead", "cuda", 1, 0, True),
        ("reduce-overhead", "cuda", 1, 1, False),
        ("max-autotune", "cuda", 2, 1, True),
        ("max-autotune", "cpu", 1, 0, False),
    ],
)
def test_memory_is_reserved_where_anything_is_replayed(
    compiled: Worker, mode: str, device: str, graphs: int, skips: int, expected: bool
) -> None:
    cell = Cell(arch="x", mode=mode, dtype="fp32", batch_size=1, task="infer", device=device)
    assert compiled.subject is not None
    setup = replace(compiled.subject.setup, graphs=graphs, cudagraph_skips=skips)
    assert replays(cell, setup) is expected


@pytest.mark.parametrize("can_be_reset", [True, False])
def test_memory_on_a_cpu_is_known_where_its_peak_can_be_reset(
    compiled: Worker, monkeypatch: pytest.MonkeyPatch, can_be_reset: bool
) -> None:
    monkeypatch.setattr("bench.machine.resident.reset_peak", lambda: can_be_reset)
    compiled.warm_up()
    found = compiled.finish()
    assert found["peak_resident_bytes"] > 0
    assert (found["peak_memory_bytes"] is not None) is can_be_reset


@pytest.mark.parametrize("is_replayed", [True, False])
def test_memory_says_when_it_is_what_the_allocator_keeps(
    compiled: Worker, monkeypatch: pytest.MonkeyPatch, is_replayed: bool
) -> None:
    peaks = {"peak_resident_bytes": 9, "peak_allocated_bytes": 5, "peak_reserved_bytes": 7}
    monkeypatch.setattr("bench.worker.memory.peaks", lambda *_: peaks)
    compiled.replays = is_replayed
    found = compiled.finish()
    assert found["peak_memory_bytes"] == (7 if is_replayed else 5)
    assert found.get("memory_is_reserved", False) is is_replayed
