"""A plugin for tests: one executor, one that is not installed, one rewrite and one source."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from bench.archs.source import Arch, Inputs, Source
from bench.capabilities import INFERENCE
from bench.executors.executor import Executor, Program
from bench.executors.request import ExecutorRequest
from bench.rewrites.rewrite import Rewrite


class ThroughNumpy(Program):
    """Takes and returns arrays, as a runtime other than PyTorch does."""

    def __init__(self, module: nn.Module) -> None:
        self._module = module

    def load(self, example: Inputs) -> Any:
        return [tensor.numpy().copy() for tensor in example]

    def run(self, inputs: Any) -> Any:
        return self._module(*map(torch.from_numpy, inputs)).numpy()

    def unload(self, output: Any) -> Tensor:
        return torch.from_numpy(output)

    def settings(self) -> Mapping[str, str]:
        return {"arrays": "numpy"}


def _through_numpy(module: nn.Module, request: ExecutorRequest) -> Program:
    del request
    return ThroughNumpy(module)


def _halve_and_double(module: nn.Module, example: Inputs) -> nn.Module:
    """The same function: half of each weight of the last layer, and twice its output."""
    del example
    last = list(module.children())[-1]
    assert isinstance(last, nn.Linear)
    with torch.no_grad():
        for parameter in last.parameters():
            parameter.mul_(0.5)
    return nn.Sequential(module, _Doubles())


class _Doubles(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return 2 * x


def _find(name: str) -> Arch:
    return Arch(name=f"blocks:{name}", what="so many layers", source="tests", build=_builder(name))


def _builder(name: str) -> Any:
    def build(_aux: bool) -> nn.Module:
        layers = [nn.Linear(3 * 8 * 8, 3 * 8 * 8) for _ in range(int(name))]
        return nn.Sequential(
            nn.AdaptiveAvgPool2d(8), nn.Flatten(), *layers, nn.Linear(3 * 8 * 8, 10)
        )

    return build


NUMPY = Executor(
    name="through-numpy",
    what="as arrays",
    prepare=_through_numpy,
    tasks=INFERENCE,
    dtypes=frozenset({"fp32"}),
)
MISSING = Executor(
    name="missing",
    what="needs a library",
    prepare=_through_numpy,
    requires=("no_such_library",),
    extra="nothing",
)
HALVES = Rewrite(name="halves", what="halves and doubles", apply=_halve_and_double, order=1)
BLOCKS = Source(name="blocks", form="blocks:NUMBER", prefix="blocks", find=_find)
