"""What a network costs: parameters, multiply-accumulates and activations, in all and per stage.

Multiply-accumulates (MACs) are those of convolutions and matrix products that really run on random
images, in ``eval()`` and on an uncompiled copy (bench/worker/mac_counter.py). FLOPs are 2 × MACs.
fvcore's total stands beside them under its own name (bench/worker/fvcore_count.py).
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from bench.cells import inputs
from bench.cells.archs import Arch
from bench.cells.module import to_eval
from bench.worker import fvcore_count, network
from bench.worker.attribution import ModuleSpan, attributed
from bench.worker.formulas import COUNTER
from bench.worker.fvcore_count import FvcoreCount
from bench.worker.mac_counter import MacCounter, Tally, hidden_operators

OUTSIDE = "(outside)"


@dataclass(frozen=True, slots=True, kw_only=True)
class StageCost:
    """What one of a network's direct children costs in a forward pass of the whole batch."""

    name: str
    params: int
    """Parameters that no earlier stage has: stages may share some, or be tied."""
    weights: int
    """The part of them that are kernels of convolutions and linear layers: no biases, no norms."""
    macs: int
    """MACs of what runs in its calls, modules that it shares with other stages among it."""
    fvcore_total: int | None
    """fvcore's own: MACs, and norms, average pooling and interpolation besides. None where it
    cannot trace the network, or stages share a module, which it counts for the first alone."""
    activations: int
    """Elements that convolutions and matrix products put out."""
    uncounted: Counter[str] = field(default_factory=Counter)
    """Operators that may multiply and have no formula, by how often they ran."""

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
    macs_on_other_images: int | None = None
    """MACs for other random images where these differ: the count depends on the images."""
    macs_in_the_next_call: int | None = None
    """MACs for the same images where these differ: the count depends on earlier calls."""
    fvcore: FvcoreCount = field(default_factory=FvcoreCount)
    disagreements: tuple[str, ...] = ()
    """Where fvcore counts other MACs, in sentences with the operators."""

    @property
    def weights(self) -> int:
        return sum(stage.weights for stage in self.stages)

    @property
    def macs(self) -> int:
        """A lower bound where anything is ``uncounted``."""
        return sum(stage.macs for stage in self.stages)

    @property
    def flops(self) -> int:
        """2 × MACs."""
        return 2 * self.macs

    @property
    def fvcore_total(self) -> int | None:
        """None where fvcore cannot trace the network."""
        return self.fvcore.total

    @property
    def activations(self) -> int:
        return sum(stage.activations for stage in self.stages)

    @property
    def uncounted(self) -> Counter[str]:
        """Operators that may multiply and have no formula, by how often they ran."""
        return sum((stage.uncounted for stage in self.stages), Counter[str]())

    def per_image(self) -> dict[str, Any]:
        """What a run file keeps of a cost that was counted at batch 1."""
        return {
            "params": self.params,
            "params_with_aux": self.params_with_aux,
            "macs_per_image": self.macs,
            "fvcore_total_per_image": self.fvcore_total,
            "activations_per_image": self.activations,
            "macs_on_other_images": self.macs_on_other_images,
            "macs_in_the_next_call": self.macs_in_the_next_call,
            "uncounted": self.uncounted,
            "fvcore_remark": self.fvcore.remark,
            "fvcore_disagreements": self.disagreements,
            "counter": f"{COUNTER}, torch {torch.__version__.partition('+')[0]}",
        }


def count(arch: Arch, *, image_size: int = 224, batch_size: int = 1, seed: int = 0) -> Cost:
    """Count a fresh, uncompiled copy of ``arch`` on square images of ``image_size`` pixels.

    Weights and images are those of ``seed``, as a worker draws them. A first call, which may make
    what later ones keep, is not counted. Raises whatever the network raises for such images.
    """
    torch.manual_seed(seed)
    model = to_eval(network.build(arch, aux=False, image_size=image_size))
    images, others = (inputs.random_images(batch_size, image_size) for _ in range(2))
    with torch.no_grad():
        model(images.clone())
    parts, counter = _by_stage(model, images)
    whole = parts[""].macs
    on_others, again = _macs(model, others), whole
    if on_others != whole:
        again = _macs(model, images)
    theirs = fvcore_count.count(model, images.clone())
    return Cost(
        arch=arch.name,
        image_size=image_size,
        batch_size=batch_size,
        params=_numel(model.parameters()),
        params_with_aux=_numel(network.build(arch, aux=True, image_size=image_size).parameters()),
        stages=tuple(_stages(model, parts, theirs)),
        macs_on_other_images=on_others if on_others != whole == again else None,
        macs_in_the_next_call=again if again != whole else None,
        fvcore=theirs,
        disagreements=theirs.disagreements(counter.macs_by_operator),
    )


def stages(model: nn.Module, images: Tensor) -> tuple[StageCost, ...]:
    """Cost of each direct child, and of what runs outside them where that costs anything."""
    parts, _ = _by_stage(model, images)
    return tuple(_stages(model, parts, fvcore_count.count(model, images.clone())))


def _macs(model: nn.Module, images: Tensor) -> int:
    with MacCounter() as counter:
        model(images.clone())
    return counter.macs


def _by_stage(model: nn.Module, images: Tensor) -> tuple[dict[str, Tally], MacCounter]:
    """What each direct child counts when it is called, and the whole under ""; the counter."""
    children = {name: ModuleSpan(child, child) for name, child in model.named_children()}
    with MacCounter() as counter, attributed(children, counter.read) as found:
        model(images.clone())
    return {**found, "": counter.read() + Tally(uncounted=hidden_operators(model))}, counter


def _stages(
    model: nn.Module, parts: Mapping[str, Tally], theirs: FvcoreCount
) -> Iterator[StageCost]:
    seen: set[nn.Parameter] = set()
    children = dict(model.named_children())
    fvcore = theirs.by_module if theirs.by_module and _are_apart(children.values()) else None
    left = parts[""]
    for name, child in children.items():
        own, tally = _unseen(child.parameters(), seen), parts.get(name, Tally())
        yield StageCost(
            name=name,
            params=_numel(own),
            weights=_numel(_unseen(_kernels(child), seen)),
            macs=tally.macs,
            fvcore_total=None if fvcore is None else fvcore.get(name, 0),
            activations=tally.activations,
            uncounted=tally.uncounted,
        )
        seen |= own
        left -= tally
    outside = StageCost(
        name=OUTSIDE,
        params=_numel(_unseen(model.parameters(), seen)),
        weights=0,
        macs=left.macs,
        fvcore_total=None
        if fvcore is None
        else fvcore[""] - sum(fvcore.get(name, 0) for name in children),
        activations=left.activations,
        uncounted=left.uncounted,
    )
    if outside.params or outside.fvcore_total or left != Tally():
        yield outside


def _are_apart(children: Iterable[nn.Module]) -> bool:
    """Whether no two share a module: fvcore counts such a one for the first that has it."""
    parts = [part for child in children for part in child.modules()]
    return len(parts) == len(set(parts))


def _unseen(parameters: Iterable[nn.Parameter], seen: set[nn.Parameter]) -> set[nn.Parameter]:
    """Each parameter once, without those that earlier stages have."""
    return set(parameters) - seen


def _numel(parameters: Iterable[nn.Parameter]) -> int:
    return sum(parameter.numel() for parameter in parameters)


def _kernels(module: nn.Module) -> Iterator[nn.Parameter]:
    return (
        part.weight
        for part in module.modules()
        if isinstance(part, _ConvNd | nn.Linear) and isinstance(part.weight, nn.Parameter)
    )
