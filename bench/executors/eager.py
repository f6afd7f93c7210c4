"""PyTorch's eager execution."""

from typing import TYPE_CHECKING

from bench.executors.executor import Executor, ModuleProgram, Program
from bench.executors.exported import PROGRAM
from bench.executors.request import ExecutorRequest

if TYPE_CHECKING:
    from torch import nn


def _prepare(module: "nn.Module", request: ExecutorRequest) -> Program:
    del request
    return ModuleProgram(module)


EAGER = Executor(
    name="eager",
    what="plain PyTorch, one operator after the other",
    prepare=_prepare,
    code="run = model\n",
    file=PROGRAM,
    keeps_modules=True,
)
