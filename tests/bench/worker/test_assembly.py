import pytest
import torch
from torch import nn

from bench.cells import inputs, modes
from bench.cells.cell import Cell
from bench.cells.modes import Mode
from bench.executors.cudagraphs import CapturedProgram
from bench.executors.executor import Executor, ExecutorRequest, ModuleProgram, Program
from bench.worker import subject
from tests.bench.assembled import task

IMAGES = inputs.random_images(2, 16)


def convolution() -> nn.Conv2d:
    return nn.Conv2d(in_channels=3, out_channels=4, kernel_size=5)


def module(mode: str, model: nn.Module) -> nn.Module:
    program = task(model, IMAGES, mode=mode).program
    assert isinstance(program, ModuleProgram)
    return program.module


def test_eager_leaves_the_module_as_it_is() -> None:
    model = convolution()
    assert module("eager", model) is model
    # Contiguous N C H W: the last dimension is dense.
    assert model.weight.stride() == (3 * 5 * 5, 5 * 5, 5, 1)


def test_channels_last_stores_weights_and_images_with_dense_channels() -> None:
    model = convolution()
    made = task(model, IMAGES, mode="eager+channels_last")
    assert model.weight.shape == (4, 3, 5, 5)
    assert model.weight.stride() == (3 * 5 * 5, 1, 3 * 5, 3)
    assert made.batch.images.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(made.batch.images, IMAGES)


def test_an_executor_gets_the_rewritten_module_and_runs_nothing_yet() -> None:
    model = convolution()
    made = task(model, IMAGES, mode="cudagraphs+channels_last")
    assert isinstance(made.program, CapturedProgram)
    assert made.program.module is model
    compiled = module("compile+channels_last", model)
    assert isinstance(compiled, torch._dynamo.OptimizedModule)
    assert compiled._orig_mod is model
    assert model.weight.stride() == (3 * 5 * 5, 1, 3 * 5, 3)


def test_a_network_is_in_the_mode_of_its_task_before_it_is_executed() -> None:
    for name, is_training in (("infer", False), ("train", True)):
        model = nn.Sequential(nn.Flatten(), nn.Linear(3 * 16 * 16, 5), nn.Dropout())
        task(model, IMAGES, name=name)
        assert [part.training for part in model] == [is_training, is_training, False]


def test_an_executor_gets_the_threads_of_iterations(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker may prepare with fewer threads than it iterates with."""
    requests: list[ExecutorRequest] = []

    def prepare(module: nn.Module, request: ExecutorRequest) -> Program:
        requests.append(request)
        return ModuleProgram(module)

    mode = Mode(rewrites=(), executor=Executor(name="recorder", what="", prepare=prepare))
    monkeypatch.setattr(modes, "parse", lambda _: mode)
    cell = Cell(
        arch="tests.bench.tiny:net",
        mode="eager",
        dtype="fp32",
        batch_size=2,
        task="infer",
        device="cpu",
    )
    own = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        subject.prepare(cell, image_size=16, seed=0, threads=1)
    finally:
        torch.set_num_threads(own)
    assert requests[-1].threads == 3
