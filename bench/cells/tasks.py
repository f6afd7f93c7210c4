"""Tasks: what one iteration does with a network, and which results are checked."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from itertools import cycle
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn

from bench.cells import archs, leaves, module
from bench.cells.dtypes import Dtype
from bench.cells.inputs import Batch
from bench.cells.leaves import Leaves


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The results of one run that are compared: leaves on the CPU, by path."""

    outputs: Leaves
    """Leaves of the output; in training, the loss too."""
    gradients: Leaves | None
    """Gradients by parameter; None for inference."""


_COMPILED = "_orig_mod."  # prefix that torch.compile adds to the names of parameters
# Names, because a ScriptModule keeps only its class's name. The last two: torchvision's and timm's.
_RANDOM = frozenset(kind.__name__ for kind in nn.modules.dropout._DropoutNd.__subclasses__()) | {
    "StochasticDepth",
    "DropPath",
}
LEARNING_RATE = 1e-3  # small, so that hundreds of steps on one batch stay finite


class Task(ABC):
    """A model and its batches in a dtype, on which iterations run."""

    def __init__(self, model: nn.Module, images: Tensor, targets: Tensor, dtype: Dtype) -> None:
        self.model = model
        self.dtype = dtype.torch_dtype
        self.batch = Batch(images, targets)
        """The batch that is checked."""
        self._turns: Iterator[Batch] = cycle((self.batch,))

    def rotate(self, batches: Iterable[Batch]) -> None:
        """Make iterations use ``batch`` and these in turn; all have its shape and dtype."""
        self._turns = cycle((self.batch, *batches))

    @staticmethod
    @abstractmethod
    def targets(model: nn.Module, images: Tensor) -> Tensor:
        """Target class indices, shape (N,); empty for inference."""

    @abstractmethod
    def context(self) -> AbstractContextManager[Any]:
        """Return the context manager that is entered once for a block of iterations."""

    @abstractmethod
    def step(self) -> object:
        """Run one iteration."""

    @abstractmethod
    def answer(self, batch: Batch | None = None) -> Answer:
        """Run once on a batch, by default on ``self.batch``; changes no weight."""


class Inference(Task):
    """A forward pass in ``eval()``, with weights and images converted to the dtype."""

    def __init__(self, model: nn.Module, images: Tensor, targets: Tensor, dtype: Dtype) -> None:
        torch_dtype = dtype.torch_dtype
        cast = module.cast(module.to_eval(model), torch_dtype)
        super().__init__(cast, images.to(torch_dtype), targets, dtype)

    @staticmethod
    def targets(model: nn.Module, images: Tensor) -> Tensor:
        """Return an empty tensor: inference has no targets."""
        del model
        return torch.empty(0, dtype=torch.long, device=images.device)

    def context(self) -> AbstractContextManager[Any]:
        """Return ``inference_mode``: outside it compiled code is slower."""
        return torch.inference_mode()

    def step(self) -> object:
        """Run a forward pass."""
        return self.model(next(self._turns).images)

    def answer(self, batch: Batch | None = None) -> Answer:
        """Return the output."""
        output = self.model((batch or self.batch).images)
        return Answer(outputs=leaves.flatten(output, "output"), gradients=None)


class Training(Task):
    """A step of SGD with momentum: forward with auxiliary heads, loss, backward, update.

    Weights stay fp32; narrower dtypes use autocast. Dropout and stochastic depth are off, so that
    a step can be checked: their masks would differ between executors.
    """

    def __init__(self, model: nn.Module, images: Tensor, targets: Tensor, dtype: Dtype) -> None:
        super().__init__(model.train(), images, targets, dtype)
        for part in model.modules():
            if is_random(part):
                part.training = False
        self.optimizer = torch.optim.SGD(model.parameters(), lr=LEARNING_RATE, momentum=0.9)

    @staticmethod
    def targets(model: nn.Module, images: Tensor) -> Tensor:
        """Random class indices in ``range(num_classes)``; asks the network for ``num_classes``."""
        # Eval, because batch norm may not accept one image in training mode. A clone, because a
        # network may write into its images.
        with torch.no_grad(), module.in_eval(model):
            output = model(images[:1].clone())
        return torch.randint(archs.num_classes(output), (len(images),)).to(images.device)

    def context(self) -> AbstractContextManager[Any]:
        """Return a null context: gradients are on by default."""
        return nullcontext()

    def step(self) -> object:
        """Run forward, backward and update."""
        self.optimizer.zero_grad(set_to_none=True)
        _, loss = self._forward(next(self._turns))
        loss.backward()
        self.optimizer.step()
        return loss

    def answer(self, batch: Batch | None = None) -> Answer:
        """Return the outputs and loss of a forward pass, and every gradient."""
        self.optimizer.zero_grad(set_to_none=True)
        output, loss = self._forward(batch or self.batch)
        loss.backward()
        gradients = {
            name.replace(_COMPILED, ""): _gradient(parameter)
            for name, parameter in self.model.named_parameters()
            if parameter.requires_grad
        }
        return Answer(
            outputs={**leaves.flatten(output, "output"), **leaves.flatten(loss, "loss")},
            gradients=leaves.flatten(gradients, "gradient"),
        )

    def _forward(self, batch: Batch) -> tuple[Any, Tensor]:
        is_narrow = self.dtype is not torch.float32
        with torch.autocast(batch.images.device.type, dtype=self.dtype, enabled=is_narrow):
            output = self.model(batch.images)
            return output, archs.loss(output, batch.targets)


def is_random(part: nn.Module) -> bool:
    """Whether a module drops values or whole branches at random in training."""
    return isinstance(part, nn.modules.dropout._DropoutNd) or module.kind(part) in _RANDOM


TASKS: Mapping[str, type[Task]] = MappingProxyType({"infer": Inference, "train": Training})


def _gradient(parameter: nn.Parameter) -> Tensor:
    """Return a parameter's gradient; zeros if it is None, as some compilers return."""
    return torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
