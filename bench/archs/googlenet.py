"""GoogLeNet's own registry: the network of the paper, its variants, and torchvision's."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from bench.archs.source import Arch, Source
from bench.names import choose
from googlenet.variants import VARIANTS

if TYPE_CHECKING:
    from torch import nn


def _find(name: str) -> Arch:
    variant = choose("arch", name, VARIANTS)
    neighbour = f" (compared with {variant.neighbour})" if variant.neighbour else ""
    return Arch(
        name=name,
        what=variant.factor + neighbour,
        source=variant.source,
        build=lambda aux: _build(name, aux),
        imports=("torchvision",) if variant.config is None else (),
    )


def _build(name: str, aux: bool) -> "nn.Module":
    import googlenet

    return googlenet.build(name, aux=aux)


def _names() -> Sequence[str]:
    return tuple(VARIANTS)


REGISTRY = Source(name="registry", form="a registered name", prefix="", find=_find, names=_names)
