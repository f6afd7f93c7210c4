from copy import deepcopy

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torchvision.ops import StochasticDepth

from bench.archs.source import Inputs
from bench.cells import inputs
from bench.cells.plan_values import TASK_NAMES
from bench.cells.tasks import TASKS
from tests.bench import assembled, broken


def test_every_task_name_has_a_task() -> None:
    assert set(TASKS) == set(TASK_NAMES)


def test_training_disables_only_random_modules() -> None:
    images, targets = torch.randn(4, 3, 32, 32), torch.zeros(4, dtype=torch.long)
    model = nn.Sequential(broken.Net(), nn.Dropout(0.5), StochasticDepth(0.5, "row"))
    task = assembled.task(model, images, targets, name="train")
    assert [part.training for part in model] == [True, False, False]
    first, second = task.answer(), task.answer()
    assert first.gradients is not None
    assert second.gradients is not None
    for a, b in ((first.outputs, second.outputs), (first.gradients, second.gradients)):
        assert a.keys() == b.keys()
        assert all(torch.equal(leaf, b[name]) for name, leaf in a.items())


def test_training_step_changes_weights_but_answer_does_not() -> None:
    torch.manual_seed(0)
    model = broken.Net()
    task = assembled.task(model, torch.randn(4, 3, 32, 32), torch.arange(4), name="train")
    before = model.fc.weight.detach().clone()
    task.answer()
    assert torch.equal(model.fc.weight, before)
    task.step()
    assert not torch.equal(model.fc.weight, before)


def test_inference_converts_weights_and_images() -> None:
    model = broken.Net()
    task = assembled.task(model, torch.randn(2, 3, 32, 32), dtype="bf16")
    assert not model.training
    assert task.batch.inputs[0].dtype is model.fc.weight.dtype is torch.bfloat16
    with task.context():
        assert task.answer().outputs["output"].shape == (2, 1000)


@pytest.mark.parametrize("classes", [1, 10, 2000])
def test_training_targets_cover_all_classes_of_the_network(classes: int) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, classes))
    images = torch.randn(5_000, 3, 8, 8)
    targets = TASKS["train"].targets(model, (images,))
    assert targets.shape == (5_000,)
    assert targets.min() >= 0
    assert 0.99 * (classes - 1) <= targets.max() < classes
    assert model.training


def test_inference_has_no_targets() -> None:
    assert TASKS["infer"].targets(nn.Linear(1, 1), (torch.randn(2, 3, 8, 8),)).shape == (0,)


class _RecordingNet(broken.Net):
    """A network that records its inputs."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[torch.Tensor] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.seen.append(x)
        return super().forward(x)


@pytest.mark.parametrize("name", TASKS)
def test_iterations_rotate_batches_and_answer_uses_the_first(name: str) -> None:
    torch.manual_seed(0)

    def draw(batch_size: int) -> Inputs:
        return (inputs.random_images(batch_size, 32),)

    first = inputs.Batch(draw(4), torch.arange(4))
    second, third = inputs.similar_batches(first, draw, 2)
    model = _RecordingNet()
    task = assembled.task(model, first.inputs[0], first.targets, name=name)
    with task.context():
        task.step()
        task.step()
        task.rotate([second, third])
        for _ in range(4):
            task.step()
        task.answer()
    order = [first, first, first, second, third, first, first]
    assert [tensor.data_ptr() for tensor in model.seen] == [
        batch.inputs[0].data_ptr() for batch in order
    ]


def test_inference_runs_in_inference_mode() -> None:
    task = assembled.task(broken.Net(), torch.randn(2, 3, 32, 32))
    with task.context():
        output = task.step()
    assert isinstance(output, torch.Tensor)
    assert output.is_inference()  # not only without gradients
    assert not torch.is_inference_mode_enabled()


def test_two_training_steps_are_those_of_sgd_with_momentum() -> None:
    """Each step has the gradients of its own loss alone."""
    torch.manual_seed(0)
    model = broken.Net().double()
    images = torch.randn(4, 3, 32, 32, dtype=torch.float64)
    targets = torch.arange(4)
    expected = deepcopy(model).train()
    parameters = list(expected.parameters())
    velocities = [torch.zeros_like(parameter) for parameter in parameters]
    task = assembled.task(model, images, targets, name="train")
    for _ in range(2):
        loss = F.cross_entropy(expected(images), targets)
        gradients = torch.autograd.grad(loss, parameters)
        with torch.no_grad():
            for parameter, velocity, gradient in zip(
                parameters, velocities, gradients, strict=True
            ):
                velocity.mul_(0.9).add_(gradient)
                parameter.sub_(1e-3 * velocity)
        assert task.step() == loss
    for name, parameter in expected.named_parameters():
        torch.testing.assert_close(
            model.get_parameter(name), parameter, rtol=1e-12, atol=1e-12, msg=name
        )
