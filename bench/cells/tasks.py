"""Tasks: what one iteration does with a network, and what of it is checked."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from itertools import cycle
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn

from bench.cells import archs
from bench.cells.dtypes import Dtype
from bench.cells.inputs import Batch


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Everything that a wrong execution would get wrong, as flat fp32 vectors on the CPU."""

    outputs: Tensor
    gradients: Tensor | None
    """Of a training step; None for inference."""


LEARNING_RATE = 1e-3  # small, so that hundreds of steps on one batch stay finite


class Task(ABC):
    """A model and batches in a dtype, iterated."""

    def __init__(self, model: nn.Module, images: Tensor, targets: Tensor, dtype: Dtype) -> None:
        self.model = model
        self.dtype = dtype.torch_dtype
        self.batch = Batch(images, targets)
        """The one that is checked."""
        self._turns: Iterator[Batch] = cycle((self.batch,))

    def rotate(self, others: Iterable[Batch]) -> None:
        """Have iterations take these batches in turn with their own, which they must be like."""
        self._turns = cycle((self.batch, *others))

    @staticmethod
    @abstractmethod
    def targets(model: nn.Module, images: Tensor) -> Tensor:
        """What the network is to say of images, for the task to be made with; N, or none."""

    @abstractmethod
    def context(self) -> AbstractContextManager[Any]:
        """What the iterations run inside, entered once for a block of them."""

    @abstractmethod
    def step(self) -> object:
        """One iteration."""

    @abstractmethod
    def answer(self) -> Answer:
        """Run once, changing no weight, and return what can be checked."""


class Inference(Task):
    """A forward pass in ``eval()``, weights and images converted to the dtype."""

    def __init__(self, model: nn.Module, images: Tensor, targets: Tensor, dtype: Dtype) -> None:
        in_dtype = dtype.torch_dtype
        super().__init__(model.eval().to(in_dtype), images.to(in_dtype), targets, dtype)

    @staticmethod
    def targets(model: nn.Module, images: Tensor) -> Tensor:
        """None."""
        del model
        return torch.empty(0, dtype=torch.long, device=images.device)

    def context(self) -> AbstractContextManager[Any]:
        """``inference_mode``: outside it compiled code is slower."""
        return torch.inference_mode()

    def step(self) -> object:
        """Forward."""
        return self.model(next(self._turns).images)

    def answer(self) -> Answer:
        """The output."""
        return Answer(outputs=_flat(_tensors(self.model(self.batch.images))), gradients=None)


class Training(Task):
    """A step of SGD with momentum: forward with auxiliary heads, loss, backward, update.

    Weights stay fp32; narrower dtypes autocast. Dropout and stochastic depth are off, so that a
    step can be checked: their masks would differ from one executor to the next.
    """

    def __init__(self, model: nn.Module, images: Tensor, targets: Tensor, dtype: Dtype) -> None:
        super().__init__(model.train(), images, targets, dtype)
        for module in model.modules():
            if isinstance(module, nn.modules.dropout._DropoutNd) or is_stochastic_depth(module):
                module.eval()
        self.optimizer = torch.optim.SGD(model.parameters(), lr=LEARNING_RATE, momentum=0.9)

    @staticmethod
    def targets(model: nn.Module, images: Tensor) -> Tensor:
        """Of chance, of as many classes as the network tells apart, which it is asked."""
        was_training = model.training
        with torch.no_grad():
            output = model.eval()(images[:1])  # in training batch norm may not take one image
        model.train(was_training)
        return torch.randint(archs.classes(output), (len(images),)).to(images.device)

    def context(self) -> AbstractContextManager[Any]:
        """Gradients are on by default."""
        return nullcontext()

    def step(self) -> object:
        """Forward, backward, update."""
        self.optimizer.zero_grad(set_to_none=True)
        _, loss = self._forward(next(self._turns))
        loss.backward()
        self.optimizer.step()
        return loss

    def answer(self) -> Answer:
        """Outputs and loss of a forward pass, and every gradient."""
        self.optimizer.zero_grad(set_to_none=True)
        output, loss = self._forward(self.batch)
        loss.backward()
        gradients = [p.grad for p in self.model.parameters() if p.grad is not None]
        return Answer(outputs=_flat([*_tensors(output), loss]), gradients=_flat(gradients))

    def _forward(self, batch: Batch) -> tuple[Any, Tensor]:
        narrow = self.dtype is not torch.float32
        with torch.autocast(batch.images.device.type, dtype=self.dtype, enabled=narrow):
            output = self.model(batch.images)
            return output, archs.loss(output, batch.targets)


def is_stochastic_depth(module: nn.Module) -> bool:
    """Whether a module drops whole branches at random, as torchvision's and timm's do."""
    return type(module).__name__ in {"StochasticDepth", "DropPath"}


TASKS: Mapping[str, type[Task]] = MappingProxyType({"infer": Inference, "train": Training})


def _tensors(output: Any) -> list[Tensor]:
    """The tensors of an output: one, or a sequence or mapping of them and of None."""
    if isinstance(output, Tensor):
        return [output]
    if isinstance(output, Mapping):
        output = list(output.values())
    if isinstance(output, list | tuple):
        return [tensor for value in output if value is not None for tensor in _tensors(value)]
    raise TypeError(f"cannot compare an output of type {type(output).__name__}: expected tensors")


def _flat(tensors: list[Tensor]) -> Tensor:
    return torch.cat([tensor.detach().float().flatten().cpu() for tensor in tensors])
