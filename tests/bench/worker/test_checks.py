"""Checks of unusual networks, and of networks that were once measured incorrectly."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from bench.cells import inputs
from bench.cells.cell import Cell
from bench.cells.dtypes import DTYPES
from bench.errors import RequestError
from bench.worker import subject
from bench.worker.checks import Checks
from bench.worker.correctness import WrongAnswerError
from bench.worker.protocol import Finish, Measure, Prepare
from bench.worker.worker import Worker
from tests.bench import assembled, cases
from tests.bench.broken import CALLS_OF_WARMING_UP

CELL = Cell(arch="", mode="eager", dtype="fp32", batch_size=2, task="infer", device="cpu")
may_warn = pytest.mark.filterwarnings("ignore:`torch.jit", "ignore:The .* argument is deprecated")


def prepared(
    arch: str, *, mode: str = "eager", task: str = "infer", dtype: str = "fp32"
) -> subject.Subject:
    cell = replace(CELL, arch=f"tests.bench.{arch}", mode=mode, task=task, dtype=dtype)
    return subject.prepare(cell, image_size=cases.IMAGE_SIZE, seed=0)


@pytest.fixture
def _captured(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Apply modes with Dynamo only, without Inductor, which takes half a minute."""

    torch._dynamo.reset()
    assembled.without_inductor(monkeypatch)
    yield
    torch._dynamo.reset()


class SeesPrecision(nn.Module):
    """A network that records its dtype and whether TF32 is on."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(3, 5)
        self.seen: list[tuple[torch.dtype, bool, bool]] = []

    def forward(self, x: Tensor) -> Tensor:
        tf32 = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
        self.seen.append((x.dtype, *tf32))
        logits: Tensor = self.fc(x.mean(dim=(2, 3)))
        return logits


@pytest.fixture
def _tf32() -> Iterator[None]:
    """Use TF32, as after the preparation of a cell in it."""
    convolution, product = torch.backends.cudnn.conv, torch.backends.cuda.matmul  # type: ignore[attr-defined]
    before = torch.backends.cudnn.fp32_precision, convolution.fp32_precision
    before_product = product.fp32_precision
    DTYPES["tf32"].pin_precision()
    yield
    torch.backends.cudnn.fp32_precision, convolution.fp32_precision = before
    product.fp32_precision = before_product


@pytest.mark.usefixtures("_tf32")
@pytest.mark.parametrize("dtype", ["tf32", "bf16"])
@pytest.mark.parametrize("task", ["infer", "train"])
def test_the_reference_is_fp32_without_tf32_whatever_the_cell_is(dtype: str, task: str) -> None:
    cell = replace(CELL, arch="net", dtype=dtype, task=task, mode="channels_last")
    model = SeesPrecision()
    checks = Checks(cell, model)
    targets = torch.zeros(2, dtype=torch.long)

    def draw(batch_size: int) -> tuple[Tensor, ...]:
        return (torch.randn(batch_size, 3, 4, 4),)

    checks.compute_expected(model, draw(2), targets, draw)
    assert model.seen == [(torch.float32, False, False)] * (2 if task == "infer" else 1)
    assembled.task(model, draw(2)[0], targets, name=task, dtype=dtype)
    assert torch.backends.cudnn.allow_tf32 is (dtype == "tf32")


RIGHT = [*cases.MACS, *(cases.Prints, cases.TiedAcrossStages, cases.SharedChild)]
RIGHT += [cases.NeedsTargetsInTraining, cases.OrdinaryOperators, cases.WrongImaginaryPart]


@pytest.mark.parametrize("case", RIGHT)
def test_a_network_with_right_answers_in_eager_is_accepted(case: type[nn.Module]) -> None:
    ready = prepared(f"cases:{case.__name__}")
    assert ready.setup.output_error == 0
    assert ready.checks.after_rounds(ready.task) is None


@pytest.mark.usefixtures("_captured")
def test_a_wrong_imaginary_part_is_a_wrong_answer() -> None:
    with pytest.raises(WrongAnswerError, match="the output differs from fp32 eager's by "):
        prepared("cases:WrongImaginaryPart", mode="compile")


@pytest.mark.parametrize(
    ("case", "task"),
    [("WritesIntoImages", "infer"), ("NormalisesInPlace", "infer"), ("NormalisesInPlace", "train")],
)
def test_a_network_that_writes_into_its_images_is_refused(case: str, task: str) -> None:
    with pytest.raises(RequestError, match=rf"{case} writes into its input.* work on a copy"):
        prepared(f"cases:{case}", task=task)


CACHES = "the values that were in the same tensors before: the network caches outputs"


@pytest.mark.parametrize(("mode", "dtype"), [("eager", "fp32"), ("channels_last", "bf16")])
def test_an_output_cached_by_the_identity_of_its_input_is_refused(mode: str, dtype: str) -> None:
    with pytest.raises(WrongAnswerError, match=CACHES):
        prepared("odd:KeepsByIdentity", mode=mode, dtype=dtype)


@pytest.mark.parametrize("case", ["KeepsItsFirstOutput", "KeepsByShape", "answers_constantly"])
@pytest.mark.parametrize(("mode", "dtype"), [("eager", "fp32"), ("channels_last", "bf16")])
def test_an_output_that_does_not_depend_on_the_images_is_refused(
    case: str, mode: str, dtype: str
) -> None:
    with pytest.raises(WrongAnswerError, match="the output is the same for different images"):
        prepared(f"odd:{case}", mode=mode, dtype=dtype)


@pytest.mark.parametrize("arch", ["AnswersAClass", "AnswersZeros"])
def test_outputs_of_only_a_class_or_only_zeros_are_accepted(arch: str) -> None:
    ready = prepared(f"odd:{arch}")
    assert ready.setup.output_error == 0
    assert ready.checks.after_rounds(ready.task) is None


def test_the_first_images_drawn_are_timed() -> None:
    """They are drawn first from the seed, although their tensor held other images in between."""
    ready = prepared("odd:draws_nothing")
    torch.manual_seed(0)
    images = inputs.random_images(CELL.batch_size, cases.IMAGE_SIZE)
    assert torch.equal(ready.task.batch.inputs[0], images)


@may_warn
@pytest.mark.parametrize("task", ["infer", "train"])
@pytest.mark.parametrize("dtype", ["fp32", "bf16"])
@pytest.mark.parametrize(
    "arch", ["half", "double", "lazy", "scripted", "scripted_with_dropout", "traced", "UnusedNaNs"]
)
def test_an_unusual_network_is_accepted(arch: str, task: str, dtype: str) -> None:
    ready = prepared(f"odd:{arch}", task=task, dtype=dtype)
    assert (ready.setup.output_error == 0) is (dtype == "fp32")
    ready.task.step()
    assert ready.checks.after_rounds(ready.task) is None


@may_warn
@pytest.mark.parametrize("arch", ["TrainsNothing", "exported", "ManyKinds"])
@pytest.mark.parametrize("dtype", ["fp32", "bf16"])
def test_an_unusual_network_is_accepted_for_inference(arch: str, dtype: str) -> None:
    ready = prepared(f"odd:{arch}", dtype=dtype)
    assert (ready.setup.output_error == 0) is (dtype == "fp32")


def test_complex_weights_keep_their_imaginary_parts_in_a_narrower_dtype() -> None:
    assert 0 < prepared("odd:ComplexWeights", dtype="bf16").setup.output_error < 0.01


@may_warn
@pytest.mark.parametrize(
    ("arch", "mode", "says"),
    [
        ("compiled", "eager", "return the network itself, and choose the mode compile"),
        ("scripted", "compile", "torch.compile does not compile: return the network itself"),
        ("traced", "compile", "torch.compile does not compile: return the network itself"),
    ],
)
def test_a_network_that_is_compiled_in_another_way_is_refused(
    arch: str, mode: str, says: str
) -> None:
    with pytest.raises(RequestError, match=says):
        prepared(f"odd:{arch}", mode=mode)


def worker_of(arch: str, task: str) -> Worker:
    worker = Worker()
    cell = Cell(arch=arch, mode="eager", dtype="fp32", batch_size=2, task=task, device="cpu")
    worker.prepare(Prepare(cell=cell, image_size=32, seed=0))
    return worker


def late_error(worker: Worker) -> str | None:
    """Run as many iterations as rounds would; return why the answer is then wrong, or None."""
    worker.measure(Measure(iterations=CALLS_OF_WARMING_UP))
    error: str | None = worker.finish(Finish()).late_wrong_answer
    return error


@pytest.mark.parametrize("task", ["infer", "train"])
def test_a_right_answer_is_right_after_the_rounds(task: str) -> None:
    assert late_error(worker_of("tests.bench.broken:works", task)) is None


@pytest.mark.parametrize("task", ["infer", "train"])
def test_an_answer_that_becomes_wrong_during_the_rounds_is_reported(task: str) -> None:
    """The sign of the output changes, which is a relative distance of 2."""
    error = late_error(worker_of("tests.bench.broken:answers_wrongly_later", task))
    assert error is not None
    assert error.startswith("the output differs from call to call, by 2 ")


@pytest.mark.parametrize(("task", "calls_before"), [("infer", 5), ("train", 4)])
@pytest.mark.parametrize("mode", ["eager", "channels_last"])
@pytest.mark.parametrize("dtype", ["fp32", "bf16"])
def test_writing_into_the_images_during_the_rounds_is_reported(
    task: str, calls_before: int, mode: str, dtype: str
) -> None:
    ready = prepared("odd:WritesFromItsTenthCall", mode=mode, task=task, dtype=dtype)
    assert ready.task.model.calls == calls_before
    with ready.task.context():
        for _ in range(10 - calls_before):
            ready.task.step()
    error = ready.checks.after_rounds(ready.task)
    assert error is not None
    assert error.startswith("tests.bench.odd:WritesFromItsTenthCall writes into its input, ")


def test_training_that_diverges_during_the_rounds_is_reported() -> None:
    error = late_error(worker_of("tests.bench.broken:diverges", "train"))
    assert error is not None
    assert error.endswith("contains NaNs or infinities")


def test_training_is_checked_with_its_initial_weights() -> None:
    worker = worker_of("tests.bench.broken:works", "train")
    weight = next(worker._ready().task.model.parameters())
    before = weight.detach().clone()
    worker.measure(Measure(iterations=3))
    assert not torch.equal(weight, before)
    assert worker.finish(Finish()).late_wrong_answer is None
    assert torch.equal(weight, before)
