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
    from collections.abc import Callable, Collection

    from torch import nn


class Kind(IntEnum):
    """What a token does. Tokens apply in this order, not in the order typed."""

    REWRITE = 1
    MEMORY_FORMAT = 2
    EXECUTOR = 3


_EVERYWHERE = frozenset({"cpu", "cuda"})
_CUDA = frozenset({"cuda"})
_EVERY_TASK = frozenset({"infer", "train"})
# With Inductor's CUDA graphs the first call runs kernels one by one, the second records, and the
# third replays (torch/_inductor/cudagraph_trees.py).
_UNTIL_REPLAYED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """One part of a mode, for example ``compile``."""

    name: str
    kind: Kind
    what: str
    apply: "Callable[[nn.Module], nn.Module]"
    imports: tuple[str, ...] = ()
    """Libraries besides torch that applying it imports; safe to import before a fork."""
    devices: frozenset[str] = _EVERYWHERE
    tasks: frozenset[str] = _EVERY_TASK
    compiles: bool = False
    """Whether Dynamo and Inductor compile the network at its first call."""
    tunes: bool = False
    """Whether compiling benchmarks kernels, so that nothing else may use the device meanwhile."""
    replays: bool = False
    """Whether iterations replay a CUDA graph, which keeps its memory between calls."""
    calls: int = 1
    """Calls until the network runs as it will be timed. The last call's answer is checked."""


def _eager(model: "nn.Module") -> "nn.Module":
    return model


def _channels_last(model: "nn.Module") -> "nn.Module":
    import torch

    return model.to(memory_format=torch.channels_last)


def _compile(model: "nn.Module") -> "nn.Module":
    import torch

    # A worker uses one shape: a second one would cause a recompilation, and the cell would fail.
    return torch.compile(model, dynamic=False)  # type: ignore[return-value]


def _reduce_overhead(model: "nn.Module") -> "nn.Module":
    import torch

    return torch.compile(model, dynamic=False, mode="reduce-overhead")  # type: ignore[return-value]


def _max_autotune(model: "nn.Module") -> "nn.Module":
    import torch

    return torch.compile(model, dynamic=False, mode="max-autotune")  # type: ignore[return-value]


def _cudagraphs(model: "nn.Module") -> "nn.Module":
    from bench.cells.captured import Captured

    return Captured(model)


_ALL = (
    Token(
        name="eager",
        kind=Kind.EXECUTOR,
        what="plain PyTorch, one operator after the other",
        apply=_eager,
    ),
    Token(
        name="compile",
        kind=Kind.EXECUTOR,
        what="torch.compile with Inductor's default mode",
        apply=_compile,
        imports=("bench.worker.preload",),
        compiles=True,
    ),
    Token(
        name="reduce-overhead",
        kind=Kind.EXECUTOR,
        what="torch.compile's mode of this name: compiled, and replayed as CUDA graphs",
        apply=_reduce_overhead,
        imports=("bench.worker.preload",),
        devices=_CUDA,
        compiles=True,
        replays=True,
        calls=_UNTIL_REPLAYED,
    ),
    Token(
        name="max-autotune",
        kind=Kind.EXECUTOR,
        what="torch.compile's mode of this name: benchmarks kernels first, which takes minutes; "
        "on CUDA replayed as CUDA graphs",
        apply=_max_autotune,
        imports=("bench.worker.preload",),
        compiles=True,
        tunes=True,
        replays=True,
        calls=_UNTIL_REPLAYED,
    ),
    Token(
        name="cudagraphs",
        kind=Kind.EXECUTOR,
        what="the kernels of eager, captured once as a CUDA graph and replayed with one launch",
        apply=_cudagraphs,
        devices=_CUDA,
        tasks=frozenset({"infer"}),
        replays=True,
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
    """Return the tokens of a mode in the order in which they apply.

    Raises ``RequestError`` for an unknown or repeated token, two executors or two memory formats.
    """
    tokens = [choose("mode token", name.strip(), TOKENS) for name in mode.split("+")]
    for kind in (Kind.EXECUTOR, Kind.MEMORY_FORMAT):
        same = [token.name for token in tokens if token.kind is kind]
        if len(same) > 1:
            what = kind.name.lower().replace("_", " ")
            raise RequestError(
                f"mode {mode!r} has {len(same)} {what}s ({', '.join(same)}); at most one is allowed"
            )
    return tuple(sorted(tokens, key=lambda token: token.kind))


def canonical(mode: str) -> str:
    """Return the canonical spelling of a mode: executor first, ``eager`` only if it is alone."""
    names = [token.name for token in reversed(parse(mode)) if token.name != "eager"]
    return "+".join(names) or "eager"


def apply(mode: str, model: "nn.Module") -> "nn.Module":
    """Return ``model`` prepared for ``mode``; may change it in place."""
    for token in parse(mode):
        model = token.apply(model)
    return model


def is_channels_last(mode: str) -> bool:
    """Whether images are stored N H W C."""
    return any(token.name == "channels_last" for token in parse(mode))


def is_compiled(mode: str) -> bool:
    """Whether the first call compiles."""
    return any(token.compiles for token in parse(mode))


def is_tuned(mode: str) -> bool:
    """Whether compiling benchmarks kernels, which needs exclusive use of the device."""
    return any(token.tunes for token in parse(mode))


def is_replayed(mode: str, device: str) -> bool:
    """Whether iterations replay CUDA graphs."""
    return _kind(device) == "cuda" and any(token.replays for token in parse(mode))


def calls(mode: str) -> int:
    """Return the number of calls until a network runs as it will be timed."""
    return max(token.calls for token in parse(mode))


def check(mode: str, device: str, tasks: "Collection[str]") -> None:
    """Raise ``RequestError`` if the mode does not support the device or one of the tasks."""
    for token in parse(mode):
        if _kind(device) not in token.devices:
            raise RequestError(
                f"mode token {token.name!r} does not run on {device}; "
                f"available there: {', '.join(available(device))}"
            )
        unsupported = sorted(set(tasks) - token.tasks)
        if unsupported:
            raise RequestError(
                f"mode token {token.name!r} supports {', '.join(sorted(token.tasks))}, not "
                f"{', '.join(unsupported)}: it captures only a forward pass; to train with "
                "CUDA graphs, use reduce-overhead"
            )


def available(device: str) -> tuple[str, ...]:
    """Return the names of the tokens that run on a device."""
    return tuple(token.name for token in TOKENS.values() if _kind(device) in token.devices)


def _kind(device: str) -> str:
    return device.partition(":")[0]
