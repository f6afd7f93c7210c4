from dataclasses import dataclass, field, replace

import pytest
import torch
from torch import Tensor, nn

from bench.archs.source import Inputs
from bench.cells import inputs, modes
from bench.cells.cell import Cell
from bench.cells.modes import Mode
from bench.errors import RequestError
from bench.executors import EXECUTORS
from bench.executors.cudagraphs import CapturedProgram
from bench.executors.executor import Executor, ModuleProgram, Program
from bench.executors.request import ExecutorRequest
from bench.rewrites.rewrite import Rewrite
from bench.worker import assembly, subject
from bench.worker.correctness import WrongAnswerError
from tests.bench.assembled import task

IMAGES = inputs.random_images(2, 16)
TINY = Cell(
    arch="tests.bench.tiny:net",
    mode="eager",
    dtype="fp32",
    batch_size=2,
    task="infer",
    device="cpu",
)


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
    assert made.batch.inputs[0].is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(made.batch.inputs[0], IMAGES)


def test_an_executor_gets_the_rewritten_module_and_runs_nothing_yet() -> None:
    model = convolution()
    made = task(model, IMAGES, mode="cudagraphs+channels_last")
    assert isinstance(made.program, CapturedProgram)
    assert made.program.module is model
    compiled = module("compile+channels_last", model)
    assert isinstance(compiled, torch._dynamo.OptimizedModule)
    assert compiled._orig_mod is model
    assert model.weight.stride() == (3 * 5 * 5, 1, 3 * 5, 3)


@dataclass
class Recorder:
    """Records the state in which a rewrite and an executor get a network."""

    calls: list[tuple[str, bool, torch.dtype, torch.dtype]] = field(default_factory=list)

    def see(self, who: str, module: nn.Module, example: Inputs) -> None:
        (weight, *_) = module.parameters()
        self.calls.append((who, module.training, weight.dtype, example[0].dtype))

    def rewrite(self, module: nn.Module, example: Inputs) -> nn.Module:
        self.see("rewrite", module, example)
        return nn.Sequential(module)

    def prepare(self, module: nn.Module, request: ExecutorRequest) -> Program:
        assert isinstance(module, nn.Sequential)
        self.see("executor", module, request.example)
        return ModuleProgram(module)


def test_a_rewrite_after_the_cast_gets_the_dtype_of_the_cell(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    recorder = Recorder()
    rewrites = [
        Rewrite(name="late", what="", apply=recorder.rewrite, after_cast=True),
        Rewrite(name="z", what="", apply=recorder.rewrite, is_memory_format=True),
    ]
    ordered = tuple(sorted(rewrites, key=modes.order))
    assert [rewrite.name for rewrite in ordered] == ["z", "late"]
    mode = Mode(rewrites=ordered, executor=EXECUTORS["eager"])
    monkeypatch.setattr(modes, "parse", lambda _: mode)
    task(linear(), IMAGES, dtype="bf16")
    assert recorder.calls == [
        ("rewrite", False, torch.float32, torch.float32),
        ("rewrite", False, torch.bfloat16, torch.bfloat16),
    ]


@pytest.mark.parametrize(
    ("name", "is_training", "converted"),
    [("infer", False, torch.bfloat16), ("train", True, torch.float32)],
)
def test_the_order_is_mode_rewrite_conversion_execution(
    monkeypatch: pytest.MonkeyPatch, name: str, is_training: bool, converted: torch.dtype
) -> None:
    recorder = Recorder()
    rewrite = Rewrite(name="recorded", what="", apply=recorder.rewrite)
    executor = Executor(name="recorder", what="", prepare=recorder.prepare)
    mode = Mode(rewrites=(rewrite,), executor=executor)
    monkeypatch.setattr(modes, "parse", lambda _: mode)
    made = task(linear(), IMAGES, name=name, dtype="bf16")
    assert recorder.calls == [
        ("rewrite", is_training, torch.float32, torch.float32),
        ("executor", is_training, converted, converted),
    ]
    assert made.model is made.program.module  # type: ignore[attr-defined]


def linear() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * 16 * 16, 5), nn.Dropout())


def test_dropout_is_off_in_training() -> None:
    model = linear()
    task(model, IMAGES, name="train")
    assert [part.training for part in model] == [True, True, False]  # type: ignore[attr-defined]


def test_an_executor_that_cannot_train_says_so() -> None:
    cell = Cell(arch="net", mode="eager", dtype="fp32", batch_size=2, task="train", device="cpu")
    executor = Executor(name="arrays", what="", prepare=lambda *_: Program())
    with pytest.raises(RequestError, match="executor 'arrays' cannot train"):
        assembly.assemble(
            cell, linear(), (IMAGES,), torch.zeros(2, dtype=torch.long), executor=executor
        )


def test_an_executor_is_told_the_threads_of_iterations(monkeypatch: pytest.MonkeyPatch) -> None:
    """And not those that a worker prepares with, beside others that prepare."""
    requests: list[ExecutorRequest] = []

    def prepare(module: nn.Module, request: ExecutorRequest) -> Program:
        requests.append(request)
        return ModuleProgram(module)

    executor = Executor(name="recorder", what="", prepare=prepare)
    monkeypatch.setattr(modes, "parse", lambda _: Mode(rewrites=(), executor=executor))
    own = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        subject.prepare(TINY, image_size=16, seed=0, threads=1)
    finally:
        torch.set_num_threads(own)
    assert requests[-1].threads == 3


@pytest.mark.parametrize(
    "name",
    [
        name
        for name, token in modes.tokens().items()
        if "cpu" in token.devices
        and not token.missing
        and not getattr(token, "compiles", False)
        and modes.kind(token) != "option"  # only together with its executor
    ],
)
def test_each_token_that_does_not_compile_answers_as_eager_does(name: str) -> None:
    arch = "googlenet" if name == "fuse" else TINY.arch  # fuse fits only GoogLeNet
    made = subject.prepare(replace(TINY, arch=arch, mode=name), image_size=32, seed=0)
    assert made.setup.output_error <= made.setup.error_bound
    assert made.checks.after_rounds(made.task) is None


@pytest.mark.parametrize(("change", "is_right"), [(0.5, True), (2.0, False)])
def test_a_rewrite_may_change_the_answer_by_its_error_budget(
    monkeypatch: pytest.MonkeyPatch, change: float, is_right: bool
) -> None:
    budget = 0.01

    class Scaled(nn.Module):
        def __init__(self, module: nn.Module) -> None:
            super().__init__()
            self.module = module

        def forward(self, x: Tensor) -> Tensor:
            out: Tensor = self.module(x)
            return out * (1 + change * budget)

    rewrite = Rewrite(
        name="scaled", what="", apply=lambda module, _: Scaled(module), error_budget=budget
    )
    mode = Mode(rewrites=(rewrite,), executor=EXECUTORS["eager"])
    parse = modes.parse
    monkeypatch.setattr(modes, "parse", lambda name: mode if name == "scaled" else parse(name))
    cell = replace(TINY, mode="scaled")
    if is_right:
        made = subject.prepare(cell, image_size=32, seed=0)
        assert made.setup.error_bound == pytest.approx(1e-3 + budget)
    else:
        with pytest.raises(WrongAnswerError, match=r"at most 0\.011"):
            subject.prepare(cell, image_size=32, seed=0)
