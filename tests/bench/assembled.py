"""Tasks of small networks, assembled as a worker assembles them."""

import pytest
import torch
from torch import Tensor, nn

from bench.cells.cell import Cell
from bench.cells.tasks import Task
from bench.worker import assembly


def task(
    model: nn.Module,
    images: Tensor,
    targets: Tensor | None = None,
    *,
    name: str = "infer",
    dtype: str = "fp32",
    mode: str = "eager",
) -> Task:
    """The task called ``name`` of a network."""
    cell = Cell(arch="net", mode=mode, dtype=dtype, batch_size=len(images), task=name, device="cpu")
    given = torch.zeros(len(images), dtype=torch.long) if targets is None else targets
    return assembly.assemble(cell, model, (images,), given)


def without_inductor(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have torch.compile capture and not compile: Inductor takes half a minute."""
    compile_with = torch.compile

    def compile_nothing(model: nn.Module, **_: object) -> nn.Module:
        return compile_with(model, backend="eager", dynamic=False)  # type: ignore[return-value]

    monkeypatch.setattr("torch.compile", compile_nothing)
