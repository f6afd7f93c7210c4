"""Archs: where a network comes from, by name.

A name from GoogLeNet's registry, ``torchvision:NAME`` for any of torchvision's classifiers, or
``package.module:factory`` for a callable of your own that takes nothing and returns an
``nn.Module``.
"""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bench.errors import in_a_line
from bench.names import RequestError, choose
from googlenet.variants import VARIANTS

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True, slots=True, kw_only=True)
class Arch:
    """What a name stands for; building it imports torch."""

    name: str
    what: str
    source: str
    build: "Callable[[bool], nn.Module]"
    """Build with random weights; the argument says whether to add auxiliary heads."""
    imports: tuple[str, ...] = ()
    """Libraries besides torch that building imports, safe to import before a fork."""


def registered() -> tuple[Arch, ...]:
    """Every arch of GoogLeNet's registry, in the order of its table."""
    return tuple(_from_registry(name) for name in VARIANTS)


def find(name: str) -> Arch:
    """The arch called ``name``; raises ``RequestError`` where nothing can be called so."""
    scheme, separator, rest = name.partition(":")
    if not separator:
        choose("arch", name, VARIANTS)
        return _from_registry(name)
    if not scheme or not rest:
        raise RequestError(
            f"{name!r} is no arch: expected a registered name, torchvision:NAME, "
            "or package.module:factory"
        )
    if scheme == "torchvision":
        return Arch(
            name=name,
            what=f"torchvision's {rest}",
            source="torchvision.models",
            build=lambda aux: _from_torchvision(rest, aux),
            imports=("torchvision",),
        )
    return Arch(
        name=name,
        what="a factory of your own",
        source=f"{scheme}:{rest}",
        build=lambda _aux: _from_factory(scheme, rest),
    )


def loss(output: Any, target: "Tensor") -> "Tensor":
    """Training loss of any arch: cross-entropy, and 0.3 of each auxiliary head's besides.

    ``output`` is the logits, or a named tuple of ``logits`` and what its heads put out.
    """
    import torch.nn.functional as F

    from googlenet.heads import AUX_LOSS_WEIGHT

    heads = _heads(output)
    total = F.cross_entropy(heads.pop("logits"), target)
    for head in heads.values():
        total = total + AUX_LOSS_WEIGHT * F.cross_entropy(head, target)
    return total


def classes(output: Any) -> int:
    """How many classes an output, as ``loss`` takes it, tells apart."""
    return _heads(output)["logits"].shape[-1]


def _heads(output: Any) -> "dict[str, Tensor]":
    """The logits, and what each auxiliary head put out that ran."""
    fields = output._asdict() if hasattr(output, "_asdict") else {"logits": output}
    heads = {name: head for name, head in fields.items() if head is not None}
    if not hasattr(heads.get("logits"), "shape"):
        raise RequestError(
            f"cannot train on an output of type {type(output).__name__}: expected logits, "
            "or a named tuple of logits and auxiliary outputs"
        )
    return heads


def _from_registry(name: str) -> Arch:
    variant = VARIANTS[name]
    beside = f" (beside {variant.neighbour})" if variant.neighbour else ""
    return Arch(
        name=name,
        what=variant.factor + beside,
        source=variant.source,
        build=lambda aux: _build_registered(name, aux),
        imports=("torchvision",) if variant.config is None else (),
    )


def _build_registered(name: str, aux: bool) -> "nn.Module":
    import googlenet

    return googlenet.build(name, aux=aux)


def _from_torchvision(name: str, aux: bool) -> "nn.Module":
    from torchvision import models

    known = {model: model for model in models.list_models(module=models)}
    choose("torchvision classifier", name, known)
    # Both have auxiliary heads, and by default an initialisation that takes seconds.
    with_heads = {"aux_logits": aux, "init_weights": False}
    arguments = with_heads if name in {"googlenet", "inception_v3"} else {}
    model: nn.Module = models.get_model(name, weights=None, **arguments)
    return model


def _from_factory(module_name: str, factory_name: str) -> "nn.Module":
    from torch import nn

    try:
        factory = getattr(importlib.import_module(module_name), factory_name)
    except (ImportError, AttributeError, TypeError) as error:
        raise RequestError(f"cannot take {factory_name!r} from {module_name!r}: {error}") from error
    except Exception as error:
        raise RequestError(f"importing {module_name} raised {in_a_line(error)}") from error
    if not callable(factory):
        raise RequestError(f"{module_name}:{factory_name} is {factory!r}, which cannot be called")
    try:
        model = factory()
    except MemoryError:  # of the machine's making, and fewer networks at a time may help
        raise
    except Exception as error:
        raise RequestError(f"{module_name}:{factory_name}() raised {in_a_line(error)}") from error
    if not isinstance(model, nn.Module):
        raise RequestError(
            f"{module_name}:{factory_name}() returned {type(model).__name__}, not an nn.Module"
        )
    return model
