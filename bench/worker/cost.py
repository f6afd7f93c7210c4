"""The cost of a network: parameters, multiply-accumulates and activations, in total and per stage.

Multiply-accumulates (MACs) are those of the convolutions and matrix products that run when an
uncompiled copy in ``eval()`` processes random images (bench/worker/mac_counter.py). FLOPs are
2 × MACs. fvcore's total is reported under its own name (bench/worker/fvcore_count.py).
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import torch
from torch import nn
from torch.nn.modules.conv import _ConvNd

from bench.archs.source import Arch, Inputs, Shape
from bench.cells import inputs
from bench.cells.inputs import Drawing
from bench.cells.module import to_eval
from bench.records.reported import ArchCost
from bench.worker import fvcore_count, network
from bench.worker.attribution import ModuleSpan, attributed
from bench.worker.formulas import COUNTER
from bench.worker.fvcore_count import FvcoreCount
from bench.worker.mac_counter import MacCounter, Tally, hidden_operators

OUTSIDE = "(outside)"


@dataclass(frozen=True, slots=True, kw_only=True)
class StageCost:
    """The cost of one direct child of a network, in a forward pass of the whole batch."""

    name: str
    params: int
    """Number of parameters that no earlier stage has, because stages may share parameters."""
    weights: int
    """Those of ``params`` in kernels of convolutions and linear layers: no biases, no norms."""
    macs: int
    """MACs of everything that runs in its calls, including modules that other stages share."""
    fvcore_total: int | None
    """fvcore's count: MACs, plus operations of norms, average pooling and interpolation. None if
    fvcore cannot trace the network, or if stages share a module, which fvcore counts only for the
    first of them."""
    activations: int
    """Number of elements in the outputs of convolutions and matrix products."""
    uncounted: Counter[str] = field(default_factory=Counter)
    """Number of calls of each operator that may multiply and has no formula."""

    @property
    def flops(self) -> int:
        """2 × MACs."""
        return 2 * self.macs


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """The cost of a network in a forward pass in ``eval()``, which runs no auxiliary heads."""

    arch: str
    image_size: int | None
    """Height and width of the images in pixels; None for other inputs."""
    batch_size: int
    params: int
    """Number of parameters without auxiliary heads."""
    params_with_aux: int
    stages: tuple[StageCost, ...]
    macs_on_other_images: int | None = None
    """MACs for other random images; None unless the count depends on the images."""
    macs_in_the_next_call: int | None = None
    """MACs for the same images in a later call; None unless the count depends on earlier calls."""
    fvcore: FvcoreCount = field(default_factory=FvcoreCount)
    disagreements: tuple[str, ...] = ()
    """Sentences on differences between fvcore's MACs and those that ran, with the operators."""

    @property
    def weights(self) -> int:
        return sum(stage.weights for stage in self.stages)

    @property
    def macs(self) -> int:
        """MACs of all stages; a lower bound if ``uncounted`` is not empty."""
        return sum(stage.macs for stage in self.stages)

    @property
    def flops(self) -> int:
        """2 × MACs."""
        return 2 * self.macs

    @property
    def fvcore_total(self) -> int | None:
        """The total of fvcore; None if it cannot trace the network."""
        return self.fvcore.total

    @property
    def activations(self) -> int:
        return sum(stage.activations for stage in self.stages)

    @property
    def uncounted(self) -> Counter[str]:
        """Number of calls of each operator that may multiply and has no formula."""
        return sum((stage.uncounted for stage in self.stages), Counter[str]())

    def per_image(self) -> ArchCost:
        """Return the fields for a run file; the cost must have been counted at batch size 1."""
        return ArchCost(
            params=self.params,
            params_with_aux=self.params_with_aux,
            macs_per_image=self.macs,
            fvcore_total_per_image=self.fvcore_total,
            activations_per_image=self.activations,
            macs_on_other_images=self.macs_on_other_images,
            macs_in_the_next_call=self.macs_in_the_next_call,
            uncounted=dict(self.uncounted),
            fvcore_remark=self.fvcore.remark,
            fvcore_disagreements=self.disagreements,
            counter=f"{COUNTER}, torch {torch.__version__.partition('+')[0]}",
        )


def count(
    arch: Arch,
    *,
    image_size: int | None = None,
    input_shape: Shape | None = None,
    batch_size: int = 1,
    seed: int = 0,
) -> Cost:
    """Count a new, uncompiled copy of ``arch`` on random inputs.

    ``image_size`` is the height and width of images in pixels; None for what the network is made
    for, or ``input_shape`` if it does not say that. Weights and inputs are drawn from ``seed``, as
    in a worker. The first call is not counted, because the network may create values in it that
    later calls reuse. Errors of the network pass through.
    """
    torch.manual_seed(seed)
    draw = Drawing(arch, image_size, input_shape)
    model = to_eval(network.build(arch, aux=False, draw=draw))
    example, other = (draw(batch_size) for _ in range(2))
    with torch.no_grad():
        model(*inputs.clone(example))
    parts, counter = _by_stage(model, example)
    macs = parts[""].macs
    macs_on_others, macs_in_next_call = _macs(model, other), macs
    if macs_on_others != macs:
        macs_in_next_call = _macs(model, example)
    fvcore = fvcore_count.count(model, inputs.clone(example))
    params = _numel(model.parameters())
    return Cost(
        arch=arch.name,
        image_size=draw.image_size,
        batch_size=batch_size,
        params=params,
        params_with_aux=(
            _numel(network.build(arch, aux=True, draw=draw).parameters())
            if arch.has_aux
            else params
        ),
        stages=tuple(_stages(model, parts, fvcore)),
        macs_on_other_images=(
            macs_on_others if macs_on_others != macs == macs_in_next_call else None
        ),
        macs_in_the_next_call=macs_in_next_call if macs_in_next_call != macs else None,
        fvcore=fvcore,
        disagreements=fvcore.disagreements(counter.macs_by_operator),
    )


def stages(model: nn.Module, example: Inputs) -> tuple[StageCost, ...]:
    """Return the cost of each direct child, and the cost outside of them if there is any."""
    parts, _ = _by_stage(model, example)
    return tuple(_stages(model, parts, fvcore_count.count(model, inputs.clone(example))))


def _macs(model: nn.Module, example: Inputs) -> int:
    with MacCounter() as counter:
        model(*inputs.clone(example))
    return counter.macs


def _by_stage(model: nn.Module, example: Inputs) -> tuple[dict[str, Tally], MacCounter]:
    """Return the tally of each direct child, with the total under ``""``, and the counter."""
    children = {name: ModuleSpan(child, child) for name, child in model.named_children()}
    with MacCounter() as counter, attributed(children, counter.read) as tallies:
        model(*inputs.clone(example))
    return {**tallies, "": counter.read() + Tally(uncounted=hidden_operators(model))}, counter


def _stages(
    model: nn.Module, parts: Mapping[str, Tally], counted: FvcoreCount
) -> Iterator[StageCost]:
    seen: set[nn.Parameter] = set()
    children = dict(model.named_children())
    fvcore = counted.by_module if counted.by_module and _are_disjoint(children.values()) else None
    rest = parts[""]
    for name, child in children.items():
        own_params, tally = _unseen(child.parameters(), seen), parts.get(name, Tally())
        yield StageCost(
            name=name,
            params=_numel(own_params),
            weights=_numel(_unseen(_kernels(child), seen)),
            macs=tally.macs,
            fvcore_total=None if fvcore is None else fvcore.get(name, 0),
            activations=tally.activations,
            uncounted=tally.uncounted,
        )
        seen |= own_params
        rest -= tally
    outside = StageCost(
        name=OUTSIDE,
        params=_numel(_unseen(model.parameters(), seen)),
        weights=0,
        macs=rest.macs,
        fvcore_total=None
        if fvcore is None
        else fvcore[""] - sum(fvcore.get(name, 0) for name in children),
        activations=rest.activations,
        uncounted=rest.uncounted,
    )
    if outside.params or outside.fvcore_total or rest != Tally():
        yield outside


def _are_disjoint(children: Iterable[nn.Module]) -> bool:
    """Return whether no two children share a module; fvcore counts it only for the first."""
    parts = [part for child in children for part in child.modules()]
    return len(parts) == len(set(parts))


def _unseen(parameters: Iterable[nn.Parameter], seen: set[nn.Parameter]) -> set[nn.Parameter]:
    """Return the distinct parameters that earlier stages do not have."""
    return set(parameters) - seen


def _numel(parameters: Iterable[nn.Parameter]) -> int:
    return sum(parameter.numel() for parameter in parameters)


def _kernels(module: nn.Module) -> Iterator[nn.Parameter]:
    return (
        part.weight
        for part in module.modules()
        if isinstance(part, _ConvNd | nn.Linear) and isinstance(part.weight, nn.Parameter)
    )
