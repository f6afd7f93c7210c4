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

from bench.cells import inputs
from bench.cells.archs import Arch
from bench.cells.module import to_eval
from bench.worker import fvcore_count, network
from bench.worker.attribution import Part, attributed
from bench.worker.formulas import COUNTER
from bench.worker.fvcore_count import FvcoreCount
from bench.worker.mac_counter import MacCounter

OUTSIDE = "(outside)"


@dataclass(frozen=True, slots=True, kw_only=True)
class StageCost:
    """What one of a network's direct children costs in a forward pass of the whole batch."""

    name: str
    params: int
    """Parameters that no earlier stage has: stages may share some, or be tied."""
    weights: int
    """Of these the kernels of convolutions and linear layers: no biases, no batch norm."""
    macs: int
    """MACs of what runs in its calls, modules that it shares with other stages among it."""
    fvcore_total: int | None
    """fvcore's own: MACs, and norms, average pooling and interpolation besides. None where it
    cannot trace the network, or stages share a module, which it counts for the first alone."""
    activations: int
    """Elements that convolutions and matrix products put out."""
    uncounted: Mapping[str, int] = field(default_factory=dict)
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
    def uncounted(self) -> Mapping[str, int]:
        """Operators that may multiply and have no formula, by how often they ran."""
        return dict(sum((Counter(stage.uncounted) for stage in self.stages), Counter[str]()))

    def per_image(self) -> dict[str, Any]:
        """What a run file keeps of a cost that was counted at batch 1."""
        return {
            "params": self.params,
            "params_with_aux": self.params_with_aux,
            "macs_per_image": self.macs,
            "fvcore_total_per_image": self.fvcore_total,
            "activations_per_image": self.activations,
            "macs_on_other_images": self.macs_on_other_images,
            "uncounted": self.uncounted,
            "fvcore_remark": self.fvcore.remark,
            "fvcore_disagreements": self.disagreements,
            "counter": f"{COUNTER}, torch {torch.__version__.partition('+')[0]}",
        }


def count(arch: Arch, *, image_size: int = 224, batch_size: int = 1, seed: int = 0) -> Cost:
    """Count a fresh, uncompiled copy of ``arch`` on square images of ``image_size`` pixels.

    Weights and images are those of ``seed``, as a worker draws them. Raises whatever the network
    raises for such images.
    """
    torch.manual_seed(seed)
    model = to_eval(network.build(arch, aux=False, image_size=image_size))
    images, others = (inputs.random_images(batch_size, image_size) for _ in range(2))
    with MacCounter() as counter:
        found = _by_stage(model, images, counter)
    with MacCounter() as on_others:
        model(others)
    theirs = fvcore_count.count(model, images.clone())
    return Cost(
        arch=arch.name,
        image_size=image_size,
        batch_size=batch_size,
        params=_params(model),
        params_with_aux=_params(network.build(arch, aux=True, image_size=image_size)),
        stages=tuple(_stages(model, found, theirs)),
        macs_on_other_images=None if on_others.macs == counter.macs else on_others.macs,
        fvcore=theirs,
        disagreements=theirs.disagreements(counter.macs_by_operator),
    )


def stages(model: nn.Module, images: Tensor) -> tuple[StageCost, ...]:
    """Cost of each direct child, and of what runs outside them where that costs anything."""
    with MacCounter() as counter:
        found = _by_stage(model, images, counter)
    return tuple(_stages(model, found, fvcore_count.count(model, images.clone())))


def _by_stage(model: nn.Module, images: Tensor, counter: MacCounter) -> dict[str, Counter[str]]:
    """What each direct child counts when it is called, and the whole under ""."""
    children = {name: Part(child, child) for name, child in model.named_children()}
    with attributed(children, counter.read) as found:
        model(images.clone())
    return {**found, "": counter.read()}


def _stages(
    model: nn.Module, found: Mapping[str, Counter[str]], theirs: FvcoreCount
) -> Iterator[StageCost]:
    seen: set[nn.Parameter] = set()
    none: Counter[str] = Counter()
    children = dict(model.named_children())
    fvcore_knows = theirs.by_module if theirs.by_module and _are_apart(children.values()) else None
    for name, child in children.items():
        own = _unseen(child.parameters(), seen)
        counted = found.get(name, none)
        yield StageCost(
            name=name,
            params=_numel(own),
            weights=_numel(_unseen(_kernels(child), seen)),
            macs=counted["macs"],
            fvcore_total=None if fvcore_knows is None else fvcore_knows.get(name, 0),
            activations=counted["activations"],
            uncounted=_uncounted(counted),
        )
        seen |= own
    in_children = sum((found.get(name, none) for name in children), none)
    left = found[""] - in_children
    outside = StageCost(
        name=OUTSIDE,
        params=_numel(_unseen(model.parameters(), seen)),
        weights=0,
        macs=left["macs"],
        fvcore_total=None
        if fvcore_knows is None
        else fvcore_knows[""] - sum(fvcore_knows.get(name, 0) for name in children),
        activations=left["activations"],
        uncounted=_uncounted(left),
    )
    if outside.params or outside.fvcore_total or left:
        yield outside


def _uncounted(counted: Counter[str]) -> dict[str, int]:
    return {name: ran for name, ran in counted.items() if "::" in name}


def _are_apart(children: Iterable[nn.Module]) -> bool:
    """Whether no two share a module: fvcore counts such a one for the first that has it."""
    parts = [part for child in children for part in child.modules()]
    return len(parts) == len(set(parts))


def _unseen(parameters: Iterable[nn.Parameter], seen: set[nn.Parameter]) -> set[nn.Parameter]:
    """Each parameter once, without those that earlier stages have."""
    return set(parameters) - seen


def _params(module: nn.Module) -> int:
    return _numel(module.parameters())


def _numel(parameters: Iterable[nn.Parameter]) -> int:
    return sum(parameter.numel() for parameter in parameters)


def _kernels(module: nn.Module) -> Iterator[nn.Parameter]:
    return (
        part.weight
        for part in module.modules()
        if isinstance(part, nn.Conv2d | nn.Linear) and isinstance(part.weight, nn.Parameter)
    )
