"""GoogLeNet's own registry: the network of the paper, its variants, and torchvision's."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from bench.archs import torchvision
from bench.archs.arguments import as_code, call
from bench.archs.source import Arch, Source
from bench.names import choose
from googlenet.variants import VARIANTS

if TYPE_CHECKING:
    from torch import nn


# torchvision's own network has a name of its own here, because every ladder ends at it.
_OF_TORCHVISION: Mapping[str, Any] = MappingProxyType(
    {"imports": ("torchvision",), "accuracy": lambda: torchvision.accuracy("googlenet")}
)


def _find(name: str) -> Arch:
    variant = choose("arch", name, VARIANTS)
    neighbour = f" (compared with {variant.neighbour})" if variant.neighbour else ""
    return Arch(
        name=name,
        what=variant.factor + neighbour,
        source=variant.source,
        build=lambda aux, /, **arguments: _build(name, aux, arguments),
        has_aux=True,
        lines=lambda **arguments: (
            f"import googlenet\n\nmodel = {as_code('googlenet.build', name, **arguments)}\n"
        ),
        **(_OF_TORCHVISION if variant.config is None else {}),
    )


def _build(name: str, aux: bool, arguments: Mapping[str, Any]) -> "nn.Module":
    import googlenet

    return call(googlenet.build, arguments, name=name, aux=aux)


def _names() -> Sequence[str]:
    return tuple(VARIANTS)


REGISTRY = Source(name="registry", form="a registered name", prefix="", find=_find, names=_names)
