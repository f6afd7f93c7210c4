"""Attribution: how much of something that only grows falls to each part of a network.

The same hooks split a forward's seconds and its multiply-accumulates, so that a part's share of
one and of the other are shares of the same calls.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple, Protocol, TypeVar

import torch
from torch import nn

Key = TypeVar("Key")


class Amount(Protocol):
    """Something that is added up: seconds, or counts."""

    def __add__(self, other: Any, /) -> Any: ...
    def __sub__(self, other: Any, /) -> Any: ...


Read = TypeVar("Read", bound=Amount)


class ModuleSpan(NamedTuple):
    """Modules that run one after the other, by the first and the last of them."""

    first: nn.Module
    last: nn.Module


@contextmanager
def attributed(
    parts: Mapping[Key, ModuleSpan], read: Callable[[], Read]
) -> Iterator[dict[Key, Read]]:
    """Yield what ``read()`` grows by during each part's calls; remove the hooks afterwards.

    A part begins before its first module and ends after its last, with what is called between
    them. A part that begins while another runs counts for the one that called it: a module that
    two parts share counts for its caller each time. A part that is not called has no entry, nor
    has TorchScript, which takes no hooks.
    """
    found: dict[Key, Read] = {}
    running: list[tuple[Key, Read]] = []  # the part that runs, as often as it has called itself

    def begin(key: Key, part: ModuleSpan) -> Callable[..., None]:
        def before(*_given: object) -> None:
            calls_itself = part.first is part.last and running and running[0][0] == key
            if not running or calls_itself:
                running.append((key, read()))

        return before

    def end(key: Key) -> Callable[..., None]:
        def after(*_given: object) -> None:
            until = read()
            if running and running[0][0] == key:
                _, since = running.pop()
                if not running:
                    grown = until - since
                    found[key] = found[key] + grown if key in found else grown

        return after

    with ExitStack() as hooks:
        for key, part in parts.items():
            if any(isinstance(module, torch.jit.ScriptModule) for module in part):
                continue
            hooks.callback(part.first.register_forward_pre_hook(begin(key, part)).remove)
            # A module that raises has ended too, when its caller goes on without it.
            hooks.callback(part.last.register_forward_hook(end(key), always_call=True).remove)
        yield found
