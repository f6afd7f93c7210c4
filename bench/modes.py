"""Modes: how a network is executed, as tokens joined by ``+``.

Naming and checking a mode imports no torch; applying it does.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from types import MappingProxyType
from typing import TYPE_CHECKING

from bench.names import RequestError, choose

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn


class Kind(IntEnum):
    """What a token does; tokens apply in this order, whatever the order typed."""

    REWRITE = 1
    MEMORY_FORMAT = 2
    EXECUTOR = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """One word of a mode."""

    name: str
    kind: Kind
    what: str
    apply: "Callable[[nn.Module], nn.Module]"
    imports: tuple[str, ...] = ()
    """Libraries besides torch that applying imports, safe to import before a fork."""


def _eager(model: "nn.Module") -> "nn.Module":
    return model


def _channels_last(model: "nn.Module") -> "nn.Module":
    import torch

    return model.to(memory_format=torch.channels_last)


def _compile(model: "nn.Module") -> "nn.Module":
    import torch

    # One shape a worker: a second one would be a recompilation, which the worker reports.
    return torch.compile(model, dynamic=False)  # type: ignore[return-value]


_ALL = (
    Token(
        name="eager",
        kind=Kind.EXECUTOR,
        what="PyTorch as it comes, one operator after the other",
        apply=_eager,
    ),
    Token(
        name="compile",
        kind=Kind.EXECUTOR,
        what="torch.compile with Inductor's default mode",
        apply=_compile,
        imports=("bench.preload",),
    ),
    Token(
        name="channels_last",
        kind=Kind.MEMORY_FORMAT,
        what="weights and input stored N H W C",
        apply=_channels_last,
    ),
)
TOKENS: Mapping[str, Token] = MappingProxyType({token.name: token for token in _ALL})


def parse(mode: str) -> tuple[Token, ...]:
    """The tokens of a mode in the order in which they apply.

    Raises ``RequestError`` for an unknown or repeated token, two executors or two memory formats.
    """
    tokens = [choose("mode token", name.strip(), TOKENS) for name in mode.split("+")]
    for kind in (Kind.EXECUTOR, Kind.MEMORY_FORMAT):
        same = [token.name for token in tokens if token.kind is kind]
        if len(same) > 1:
            what = kind.name.lower().replace("_", " ")
            raise RequestError(
                f"mode {mode!r} has {len(same)} {what}s ({', '.join(same)}) where one is the most"
            )
    return tuple(sorted(tokens, key=lambda token: token.kind))


def canonical(mode: str) -> str:
    """The one spelling of a mode: executor first, and ``eager`` only where it stands alone."""
    names = [token.name for token in reversed(parse(mode)) if token.name != "eager"]
    return "+".join(names) or "eager"


def apply(mode: str, model: "nn.Module") -> "nn.Module":
    """Make ``model`` run in ``mode``; it may be changed in place."""
    for token in parse(mode):
        model = token.apply(model)
    return model


def is_channels_last(mode: str) -> bool:
    """Whether a batch of images should be stored N H W C."""
    return any(token.name == "channels_last" for token in parse(mode))


def is_compiled(mode: str) -> bool:
    """Whether the first call compiles."""
    return any(token.name == "compile" for token in parse(mode))
