"""Archs: the networks that can be measured, found by name.

A name is one from GoogLeNet's registry, ``torchvision:NAME`` for any torchvision classifier, or
``package.module:factory`` for a callable of the user that takes no arguments and returns an
``nn.Module``.
"""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bench.errors import one_line
from bench.names import RequestError, choose
from googlenet.variants import VARIANTS

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True, slots=True, kw_only=True)
class Arch:
    """A named network and how to build it; building it imports torch."""

    name: str
    what: str
    source: str
    build: "Callable[[bool], nn.Module]"
    """Function that builds it with random weights; its argument: whether to add auxiliary heads."""
    imports: tuple[str, ...] = ()
    """Libraries besides torch that building it imports; safe to import before a fork."""


def registered() -> tuple[Arch, ...]:
    """Return every arch of GoogLeNet's registry, in the order of its table."""
    return tuple(_from_registry(name) for name in VARIANTS)


def find(name: str) -> Arch:
    """Return the arch called ``name``. Raises ``RequestError`` if the name is not valid."""
    scheme, separator, rest = name.partition(":")
    if not separator:
        choose("arch", name, VARIANTS)
        return _from_registry(name)
    if not scheme or not rest:
        raise RequestError(
            f"{name!r} is not an arch: expected a registered name, torchvision:NAME, "
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
        what="a user-defined factory",
        source=f"{scheme}:{rest}",
        build=lambda _aux: _from_factory(scheme, rest),
    )


def loss(output: Any, target: "Tensor") -> "Tensor":
    """Return the training loss: cross-entropy, plus 0.3 times that of each auxiliary head.

    ``output`` is the logits, or a named tuple of ``logits`` and the auxiliary heads' outputs.
    """
    import torch.nn.functional as F

    from googlenet.heads import AUX_LOSS_WEIGHT

    heads = _heads(output)
    total = F.cross_entropy(heads.pop("logits"), target)
    for head in heads.values():
        total = total + AUX_LOSS_WEIGHT * F.cross_entropy(head, target)
    return total


def num_classes(output: Any) -> int:
    """Return the number of classes in an output of the form that ``loss`` takes."""
    return _heads(output)["logits"].shape[-1]


def _heads(output: Any) -> "dict[str, Tensor]":
    """Return the logits and the output of each auxiliary head that ran, by field name."""
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
    neighbour = f" (compared with {variant.neighbour})" if variant.neighbour else ""
    return Arch(
        name=name,
        what=variant.factor + neighbour,
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
    # Both have auxiliary heads, and their default initialisation takes seconds.
    with_heads = {"aux_logits": aux, "init_weights": False}
    arguments = with_heads if name in {"googlenet", "inception_v3"} else {}
    model: nn.Module = models.get_model(name, weights=None, **arguments)
    return model


def _from_factory(module_name: str, factory_name: str) -> "nn.Module":
    from torch import nn

    try:
        factory = getattr(importlib.import_module(module_name), factory_name)
    except (ImportError, AttributeError, TypeError) as error:
        raise RequestError(
            f"cannot import {factory_name!r} from {module_name!r}: {error}"
        ) from error
    except Exception as error:
        raise RequestError(f"importing {module_name} raised {one_line(error)}") from error
    if not callable(factory):
        raise RequestError(f"{module_name}:{factory_name} is {factory!r}, which cannot be called")
    try:
        model = factory()
    except MemoryError:  # not a wrong request: fewer live networks may help
        raise
    except Exception as error:
        raise RequestError(f"{module_name}:{factory_name}() raised {one_line(error)}") from error
    if not isinstance(model, nn.Module):
        raise RequestError(
            f"{module_name}:{factory_name}() returned {type(model).__name__}, not an nn.Module"
        )
    return model
