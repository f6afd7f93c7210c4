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

from bench.archs.source import Inputs
from bench.cells import inputs, leaves, loss, module
from bench.cells.dtypes import Dtype
from bench.cells.inputs import Batch
from bench.cells.leaves import Leaves
from bench.executors.executor import Program


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The results of one run that are compared: leaves on the CPU, by path."""

    outputs: Leaves
    """Leaves of the output; in training, the loss too."""
    gradients: Leaves | None
    """Gradients by parameter; None for inference."""


# Names, because a ScriptModule keeps only its class's name. The last two: torchvision's and timm's.
_RANDOM = frozenset(kind.__name__ for kind in nn.modules.dropout._DropoutNd.__subclasses__()) | {
    "StochasticDepth",
    "DropPath",
}
LEARNING_RATE = 1e-3  # small, so that hundreds of steps on one batch stay finite


class Task(ABC):
    """A program and its batches in a dtype, on which iterations run."""

    def __init__(
        self, program: Program, model: nn.Module, example: Inputs, targets: Tensor, dtype: Dtype
    ) -> None:
        """``model``: the network that the program was made of, as ``convert`` returned it."""
        self.program = program
        self.model = model
        self.dtype = dtype.torch_dtype
        self.batch = Batch(example, targets)
        """The batch that is checked."""
        self.rotate(())

    def rotate(self, batches: Iterable[Batch]) -> None:
        """Make iterations use ``batch`` and these in turn; all have its shape and dtype.

        The program loads them here, so call it again after ``batch`` was written to.
        """
        self._turns: Iterator[tuple[Any, Tensor]] = cycle(
            [(self.program.load(example), targets) for example, targets in (self.batch, *batches)]
        )

    @staticmethod
    @abstractmethod
    def set_mode(model: nn.Module) -> nn.Module:
        """Put a network into the mode in which iterations run it, and return it."""

    @staticmethod
    @abstractmethod
    def convert(model: nn.Module, example: Inputs, dtype: Dtype) -> tuple[nn.Module, Inputs]:
        """Convert a network, in place, and inputs to what iterations have in this dtype."""

    @staticmethod
    @abstractmethod
    def targets(model: nn.Module, example: Inputs) -> Tensor:
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

    @staticmethod
    def set_mode(model: nn.Module) -> nn.Module:
        """Put a network into ``eval()`` mode, and return it."""
        return module.to_eval(model)

    @staticmethod
    def convert(model: nn.Module, example: Inputs, dtype: Dtype) -> tuple[nn.Module, Inputs]:
        """Convert both to the dtype."""
        return module.cast(model, dtype.torch_dtype), inputs.cast(example, dtype.torch_dtype)

    @staticmethod
    def targets(model: nn.Module, example: Inputs) -> Tensor:
        """Return an empty tensor: inference has no targets."""
        del model
        return torch.empty(0, dtype=torch.long, device=example[0].device)

    def context(self) -> AbstractContextManager[Any]:
        """Return ``inference_mode``: outside it compiled code is slower."""
        return torch.inference_mode()

    def step(self) -> object:
        """Run a forward pass."""
        loaded, _ = next(self._turns)
        return self.program.run(loaded)

    def answer(self, batch: Batch | None = None) -> Answer:
        """Return the output."""
        loaded = self.program.load((batch or self.batch).inputs)
        output = self.program.unload(self.program.run(loaded))
        return Answer(outputs=leaves.flatten(output, "output"), gradients=None)


class Training(Task):
    """A step of SGD with momentum: forward with auxiliary heads, loss, backward, update.

    Weights stay fp32; narrower dtypes use autocast. Dropout and stochastic depth are off, so that
    a step can be checked: their masks would differ between executors.
    """

    @staticmethod
    def set_mode(model: nn.Module) -> nn.Module:
        """``train()``, except for what is random."""
        model.train()
        for part in model.modules():
            if is_random(part):
                part.training = False
        return model

    @staticmethod
    def convert(model: nn.Module, example: Inputs, dtype: Dtype) -> tuple[nn.Module, Inputs]:
        """Both stay in fp32."""
        del dtype
        return model, example

    def __init__(
        self, program: Program, model: nn.Module, example: Inputs, targets: Tensor, dtype: Dtype
    ) -> None:
        super().__init__(program, model, example, targets, dtype)
        self.optimizer = torch.optim.SGD(model.parameters(), lr=LEARNING_RATE, momentum=0.9)

    @staticmethod
    def targets(model: nn.Module, example: Inputs) -> Tensor:
        """Random class indices in ``range(num_classes)``; asks the network for ``num_classes``."""
        # Eval, because batch norm may not accept one image in training mode. A clone, because a
        # network may write into its images.
        with torch.no_grad(), module.in_eval(model):
            output = model(*inputs.clone(inputs.first(example)))
        targets = torch.randint(loss.num_classes(output), (len(example[0]),))
        return targets.to(example[0].device)

    def context(self) -> AbstractContextManager[Any]:
        """Return a null context: gradients are on by default."""
        return nullcontext()

    def step(self) -> object:
        """Run forward, backward and update."""
        self.optimizer.zero_grad(set_to_none=True)
        _, total = self._forward(*next(self._turns))
        total.backward()
        self.optimizer.step()
        return total

    def answer(self, batch: Batch | None = None) -> Answer:
        """Return the outputs and loss of a forward pass, and every gradient."""
        self.optimizer.zero_grad(set_to_none=True)
        example, targets = batch or self.batch
        output, total = self._forward(self.program.load(example), targets)
        total.backward()
        gradients = {
            name: _gradient(parameter)
            for name, parameter in self.model.named_parameters()
            if parameter.requires_grad
        }
        return Answer(
            outputs={**leaves.flatten(output, "output"), **leaves.flatten(total, "loss")},
            gradients=leaves.flatten(gradients, "gradient"),
        )

    def _forward(self, loaded: Any, targets: Tensor) -> tuple[Any, Tensor]:
        is_narrow = self.dtype is not torch.float32
        with torch.autocast(targets.device.type, dtype=self.dtype, enabled=is_narrow):
            output = self.program.run(loaded)
            return output, loss.loss(output, targets)


def is_random(part: nn.Module) -> bool:
    """Whether a module drops values or whole branches at random in training."""
    return isinstance(part, nn.modules.dropout._DropoutNd) or module.kind(part) in _RANDOM


TASKS: Mapping[str, type[Task]] = MappingProxyType({"infer": Inference, "train": Training})


def _gradient(parameter: nn.Parameter) -> Tensor:
    """Return a parameter's gradient; zeros if it is None, as some compilers return."""
    return torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
