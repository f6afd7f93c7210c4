from collections.abc import Iterator

import pytest
import torch
from torch import nn
from torch.cuda._utils import _get_device_index

from bench import environment, inputs, subject
from bench.clock import CudaClock, HostClock
from bench.worker import Worker
from tests.bench import tiny

IMAGE_SIZE = 16


def as_it_is(mode: str, model: nn.Module) -> nn.Module:
    """What Dynamo captures, run without Inductor, which takes half a minute."""
    del mode
    return torch.compile(model, backend="eager", dynamic=False)  # type: ignore[return-value]


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> Iterator[Worker]:
    torch._dynamo.reset()
    monkeypatch.setattr("bench.modes.apply", as_it_is)
    worker = Worker()
    cell = {"arch": "tests.bench.tiny:net", "mode": "compile", "dtype": "fp32", "batch_size": 2}
    worker.prepare({**cell, "task": "infer", "device": "cpu"}, image_size=IMAGE_SIZE, seed=0)
    yield worker
    torch._dynamo.reset()


def give_another_shape(worker: Worker) -> None:
    assert worker.subject is not None
    worker.subject.task.rotate([inputs.random_batch(3, IMAGE_SIZE, tiny.NUM_CLASSES)])


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

    compiled.subject = subject.Subject(task=ready.task, setup=ready.setup, flush=flush)
    compiled.device = torch.device("cuda")
    own = compiled._clock()
    assert isinstance(own, CudaClock)
    assert own._flush is flush


@pytest.mark.parametrize(("device", "index"), [("cuda", 0), ("cuda:0", 0), ("cuda:1", 1)])
def test_a_device_is_chosen_by_its_index_and_cudnn_pinned(
    monkeypatch: pytest.MonkeyPatch, device: str, index: int
) -> None:
    chosen: list[int] = []
    # What torch.cuda.set_device makes of its argument, without a device to set.
    monkeypatch.setattr("torch.cuda.set_device", lambda d: chosen.append(_get_device_index(d)))
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", not environment.CUDNN_BENCHMARK)
    Worker()._use(device)
    assert chosen == [index]
    assert torch.backends.cudnn.benchmark is environment.CUDNN_BENCHMARK
