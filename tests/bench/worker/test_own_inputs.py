"""Networks that take something else than one batch of RGB images, in all that a worker does."""

import pytest
import torch

from bench import archs
from bench.cells import inputs
from bench.cells.cell import Cell
from bench.names import RequestError
from bench.worker import attempt, cost, subject
from tests.bench.own_inputs import WORDS, Reads

SHAPES = {"grey": ("1×28×28",), "reads": ("3×20×12", "7 int64", "1")}
MACS = {
    "grey": 28 * 28 * 4 * 9 + 4 * 10,
    "reads": 9 * 5 * 8 * 3 * 9 + 8 * 10,
}


def cell(name: str, *, mode: str = "eager", dtype: str = "fp32", task: str = "infer") -> Cell:
    arch = f"tests.bench.own_inputs:{name}"
    return Cell(arch=arch, mode=mode, dtype=dtype, batch_size=3, task=task, device="cpu")


def prepare(target: Cell) -> subject.Subject:
    return subject.prepare(target, image_size=None, seed=0)


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("task", ["infer", "train"])
@pytest.mark.parametrize("dtype", ["fp32", "bf16"])
@pytest.mark.parametrize("mode", ["eager", "channels_last"])
def test_they_are_prepared_in_any_task_dtype_and_format(
    name: str, task: str, dtype: str, mode: str
) -> None:
    ready = prepare(cell(name, mode=mode, dtype=dtype, task=task))
    assert ready.setup.input_shapes == SHAPES[name]
    assert ready.setup.image_size is None
    narrow = torch.bfloat16 if (dtype, task) == ("bf16", "infer") else torch.float32
    for tensor in ready.task.batch.inputs:
        assert tensor.dtype in {narrow, torch.int64}
    images = ready.task.batch.inputs[0]
    assert images.is_contiguous(memory_format=torch.channels_last) or mode == "eager"
    with ready.task.context():
        ready.task.step()
    assert ready.checks.after_rounds(ready.task) is None


@pytest.mark.parametrize("name", SHAPES)
def test_they_are_counted_per_element_of_the_batch(name: str) -> None:
    arch = archs.find(cell(name).arch)
    counted = cost.count(arch, batch_size=2)
    assert counted.macs == 2 * MACS[name]
    assert counted.image_size is None
    assert counted.per_image().error is None


@pytest.mark.parametrize("name", SHAPES)
def test_a_larger_batch_is_tried(name: str) -> None:
    attempt.iterate(cell(name), image_size=None, seed=0)


def test_batches_that_iterations_rotate_are_drawn_anew() -> None:
    ready = prepare(cell("reads"))
    draw = inputs.drawing(archs.find(cell("reads").arch), None)
    (other,) = inputs.similar_batches(ready.task.batch, draw, 1)
    for tensor, before in zip(other.inputs, ready.task.batch.inputs, strict=True):
        assert (tensor.shape, tensor.dtype) == (before.shape, before.dtype)
        assert not torch.equal(tensor, before)
    assert other.inputs[1].max() < WORDS


def test_torch_compile_takes_several_inputs() -> None:
    torch.manual_seed(0)
    model = Reads().eval()
    compiled = torch.compile(model, backend="eager", dynamic=False)
    example = inputs.drawing(archs.find(cell("reads").arch), None)(2)
    assert torch.equal(compiled(*example), model(*example))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("same", "same at every call, so that a cached output could not be noticed"),
        ("changes", "change their shape from one call to the next"),
        ("raises", r"example_inputs\(\d\) raised IndexError: list index out of range"),
        ("text", "are a tensor or a tuple of tensors, not str"),
        ("not_called", "not a function of the batch size"),
        ("one_too_many", "first dimension must be the batch size, 1"),
    ],
)
def test_wrong_example_inputs_are_refused_with_a_sentence(name: str, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        prepare(cell(name))
