"""What a network costs on paper: parameters, multiply-accumulates, activations, per stage.

fvcore counts. It calls its total "flops" and means multiply-accumulates of convolutions and matrix
products, plus batch norm and average pooling; here that total keeps its own name, MACs are those of
convolutions, linear layers and other matrix products alone, and FLOPs are 2 × MACs.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from fvcore.nn import ActivationCountAnalysis, FlopCountAnalysis
from torch import nn

from bench.cells.archs import Arch
from bench.worker import operators


class UncountedOperatorError(ValueError):
    """An operator that is neither counted nor deliberately ignored, so no total would be true."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageCost:
    """What one of a network's direct children costs in a forward pass of the whole batch."""

    name: str
    params: int
    weights: int
    """Kernels of convolutions and linear layers alone: no biases, no batch norm."""
    macs: int
    fvcore_total: int
    """fvcore's own: MACs, and batch norm and average pooling besides; of attention, ours."""
    activations: int
    """Elements that convolutions and matrix products put out."""

    @property
    def flops(self) -> int:
        """2 × MACs."""
        return 2 * self.macs


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What a network costs in a forward pass in ``eval()``, where auxiliary heads do not run."""

    arch: str
    image_size: int
    batch_size: int
    params: int
    """Without auxiliary heads."""
    params_with_aux: int
    stages: tuple[StageCost, ...]

    @property
    def weights(self) -> int:
        return sum(stage.weights for stage in self.stages)

    @property
    def macs(self) -> int:
        return sum(stage.macs for stage in self.stages)

    @property
    def flops(self) -> int:
        """2 × MACs."""
        return 2 * self.macs

    @property
    def fvcore_total(self) -> int:
        return sum(stage.fvcore_total for stage in self.stages)

    @property
    def activations(self) -> int:
        return sum(stage.activations for stage in self.stages)


def count(arch: Arch, *, image_size: int = 224, batch_size: int = 1) -> Cost:
    """Count a fresh, uncompiled copy of ``arch`` on square images of ``image_size`` pixels.

    Raises ``UncountedOperatorError`` for an operator that nobody taught it, and whatever the
    network raises for such images.
    """
    model = arch.build(False).eval()
    return Cost(
        arch=arch.name,
        image_size=image_size,
        batch_size=batch_size,
        params=_params(model),
        params_with_aux=_params(arch.build(True)),
        stages=stages(model, torch.zeros(batch_size, 3, image_size, image_size)),
    )


def stages(model: nn.Module, x: torch.Tensor) -> tuple[StageCost, ...]:
    """Cost of each direct child, and of what runs outside them where that costs anything."""
    with _traceable():
        flops, counted = _flops(model, x)
        activations = ActivationCountAnalysis(model, x)
        activations.set_op_handle(**operators.ACTIVATIONS)
        _silence(activations)
        outputs = activations.by_module()
    children = tuple(
        StageCost(
            name=name,
            params=_params(child),
            weights=_weights(child),
            macs=_macs(counted[name]),
            fvcore_total=int(flops[name]),
            activations=outputs[name],
        )
        for name, child in model.named_children()
    )
    outside = StageCost(
        name="(outside)",
        params=_params(model) - sum(child.params for child in children),
        weights=0,
        macs=_macs(counted[""]) - sum(child.macs for child in children),
        fvcore_total=int(flops[""]) - sum(child.fvcore_total for child in children),
        activations=outputs[""] - sum(child.activations for child in children),
    )
    costs_anything = outside.params or outside.fvcore_total or outside.activations
    return (*children, outside) if costs_anything else children


def macs_by_module(model: nn.Module, x: torch.Tensor) -> dict[str, int]:
    """MACs of every module by its dotted name, those inside of it among them; of all under "".

    Raises ``UncountedOperatorError`` for an operator that nobody taught it.
    """
    with _traceable():
        _, counted = _flops(model, x)
    return {name: _macs(by_operator) for name, by_operator in counted.items()}


@contextmanager
def _traceable() -> Iterator[None]:
    """Without gradients, and with attention as its products: its fast path is one operator."""
    was_fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with torch.no_grad():
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(was_fast)


def _flops(model: nn.Module, x: torch.Tensor) -> tuple[Counter[str], dict[str, Counter[str]]]:
    """Totals as fvcore makes them, and by operator, for each module by name."""
    analysis = FlopCountAnalysis(model, x)
    analysis.set_op_handle(**operators.MACS)
    _silence(analysis)
    totals = analysis.by_module()
    unknown = sorted(set(analysis.unsupported_ops()) - set(operators.IGNORED))
    if unknown:
        raise UncountedOperatorError(
            f"cannot count {', '.join(unknown)} in {type(model).__name__}: fvcore does not, and it "
            "is not among the operators ignored for a reason (bench/worker/operators.py)"
        )
    return totals, analysis.by_module_and_operator()


def _silence(analysis: FlopCountAnalysis | ActivationCountAnalysis) -> None:
    """Turn off fvcore's log lines: what it does not count is checked here, by name."""
    analysis.tracer_warnings("none")
    analysis.unsupported_ops_warnings(False)
    analysis.uncalled_modules_warnings(False)


def _macs(counted: Counter[str]) -> int:
    # An einsum's count comes as a float.
    return int(sum(count for name, count in counted.items() if name in operators.MAC_OPERATORS))


def _params(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def _weights(module: nn.Module) -> int:
    return sum(
        part.weight.numel() for part in module.modules() if isinstance(part, nn.Conv2d | nn.Linear)
    )
