"""The oracle of rewrites: the network itself, with random batch norms."""

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from bench.archs.source import Inputs
from bench.cells import modes
from bench.cells.module import to_eval
from bench.worker import distance, network


def randomised(model: nn.Module) -> nn.Module:
    """Return a network in ``eval()``, with random batch norms and without matrices of zeros."""
    for part in model.modules():
        if isinstance(part, _BatchNorm) and part.running_mean is not None:
            part.running_mean.normal_(std=0.5)
            part.running_var.uniform_(0.5, 2.0)  # type: ignore[union-attr]
            if part.affine:
                nn.init.uniform_(part.weight, 0.5, 1.5)
                nn.init.normal_(part.bias)
    network.draw_zeros(model)
    return model.eval()


def rewritten(model: nn.Module, example: Inputs, mode: str) -> tuple[nn.Module, Inputs]:
    """Return a network after a mode's rewrites, and inputs in the memory format that it needs."""
    for rewrite in modes.parse(mode).rewrites:
        example = tuple(map(rewrite.arrange, example))
        model = to_eval(rewrite.apply(model, example))
    return model, example


def check(model: nn.Module, images: Tensor, mode: str) -> nn.Module:
    """Return a network after rewrites; check its answer, and that the given one is unchanged."""
    before = {name: (id(value), value.clone()) for name, value in _tensors(model).items()}
    with torch.no_grad():
        expected = model(images)
        found, example = rewritten(model, (images,), mode)
        actual = found(*example)
        other = found(*example)
    assert distance.relative_error(actual, expected) <= modes.parse(mode).error_budget
    assert torch.equal(other, actual)
    assert not any(part.training for part in model.modules())
    after = _tensors(model)
    assert after.keys() == before.keys()
    for name, (identity, value) in before.items():
        assert id(after[name]) == identity
        assert torch.equal(after[name], value)
    return found


def batch_norms(model: nn.Module) -> int:
    return sum(isinstance(part, _BatchNorm) for part in model.modules())


def _tensors(model: nn.Module) -> dict[str, Tensor]:
    return {**dict(model.named_parameters()), **dict(model.named_buffers())}
