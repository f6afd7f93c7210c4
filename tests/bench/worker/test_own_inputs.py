"""Networks that take something else than one batch of RGB images, in all that a worker does."""

import pytest
import torch
from torch import nn
from torch.nn.modules.module import register_module_forward_pre_hook

from bench import archs
from bench.cells import inputs
from bench.cells.cell import Cell
from bench.cells.inputs import Drawing
from bench.errors import RequestError
from bench.worker import attempt, cost, subject
from tests.bench import assembled, own_inputs
from tests.bench.own_inputs import WORDS

SHAPES = {
    "grey": ("1×28×28",),
    "reads": ("3×20×12", "7 int64", "1"),
    "positions": ("7 int64", "7"),
    "reads_named": ("7 int64", "1", "3×20×12"),
}
MACS = {
    "grey": 28 * 28 * 4 * 9 + 4 * 10,
    "reads": 9 * 5 * 8 * 3 * 9 + 8 * 10,
    "positions": 7 * 8 * 10,
    "reads_named": 9 * 5 * 8 * 3 * 9 + 8 * 10,
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
    if mode == "channels_last" and images.ndim == 4:
        assert images.is_contiguous(memory_format=torch.channels_last)
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
    calls: list[tuple[torch.Tensor, ...]] = []

    def record(module: nn.Module, given: tuple[torch.Tensor, ...]) -> None:
        # The whole network, or what gives its inputs their names.
        if given and type(module).__module__ in {own_inputs.__name__, inputs.__name__}:
            calls.append(given)

    with register_module_forward_pre_hook(record):
        attempt.iterate(cell(name), image_size=None, seed=0)
    timed = calls[-attempt.ITERATIONS :]
    assert len(timed) == attempt.ITERATIONS
    assert {inputs.shapes(given) for given in timed} == {SHAPES[name]}
    assert {len(tensor) for given in timed for tensor in given} == {3}


def test_batches_that_iterations_rotate_are_drawn_anew() -> None:
    ready = prepare(cell("reads"))
    draw = Drawing(archs.find(cell("reads").arch), None)
    (other,) = inputs.similar_batches(ready.task.batch, draw, 1)
    for tensor, before in zip(other.inputs, ready.task.batch.inputs, strict=True):
        assert (tensor.shape, tensor.dtype) == (before.shape, before.dtype)
        assert not torch.equal(tensor, before)
    assert other.inputs[1].max() < WORDS


def test_a_compiled_network_takes_several_inputs(monkeypatch: pytest.MonkeyPatch) -> None:
    assembled.without_inductor(monkeypatch)
    ready = prepare(cell("reads", mode="compile+channels_last"))
    assert ready.setup.graphs >= 1  # of this process
    assert ready.checks.after_rounds(ready.task) is None


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("same", "same at every call, so that a cached output could not be noticed"),
        ("changes", "change their shape from one call to the next"),
        ("raises", r"example_inputs\(\d\) raised IndexError: list index out of range"),
        ("text", "must be a tensor, or a tuple or dict of tensors, without str"),
        ("number", "must be a tensor, or a tuple or dict of tensors, without int"),
        ("nothing", "are empty: return a tensor"),
        ("infinite", "have values that are not finite"),
        ("shared", r"of shape \(7,\) for a batch of 3: the first dimension of each"),
        ("not_called", "not a function of the batch size"),
        (
            "one_too_many",
            r"of shape \(2, 1, 28, 28\) for a batch of 1: the first dimension",
        ),
    ],
)
def test_wrong_example_inputs_are_refused_with_a_sentence(name: str, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        prepare(cell(name))


def test_names_that_change_with_the_batch_are_refused() -> None:
    with pytest.raises(RequestError, match="other names for a batch of 3: input_3, not input_1"):
        Drawing(archs.find("tests.bench.own_inputs:changes_names"))(3)


def test_inputs_by_name_reach_the_network_whatever_their_order() -> None:
    ready = prepare(cell("reads_named"))
    words, scale, images = ready.task.batch.inputs
    (network,) = ready.task.model.children()
    with torch.inference_mode():
        expected = network(images, words, scale)
        assert torch.equal(ready.task.model(words, scale, images), expected)
