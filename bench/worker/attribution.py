"""Attribution of a growing quantity to the parts of a network, by hooks on its modules.

The same hooks split the seconds of a forward pass and its multiply-accumulates, so a part's share
of the seconds and its share of the multiply-accumulates belong to the same calls.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple, Protocol, TypeVar

import torch
from torch import nn

Key = TypeVar("Key")


class Amount(Protocol):
    """A quantity that can be added and subtracted: seconds, or counts."""

    def __add__(self, other: Any, /) -> Any: ...
    def __sub__(self, other: Any, /) -> Any: ...


Quantity = TypeVar("Quantity", bound=Amount)


class ModuleSpan(NamedTuple):
    """The first and the last of several modules that run one after the other."""

    first: nn.Module
    last: nn.Module


@contextmanager
def attributed(
    parts: Mapping[Key, ModuleSpan], read: Callable[[], Quantity]
) -> Iterator[dict[Key, Quantity]]:
    """Yield by how much ``read()`` grows during the calls of each part.

    A part lasts from the start of its first module to the end of its last module, and includes
    everything that runs in between. If a part begins while another part runs, it counts for the
    part that called it: a module that two parts share counts for its caller each time. Parts that
    are not called have no entry. TorchScript modules have none either, because they take no hooks.
    The hooks are removed on exit.
    """
    growth: dict[Key, Quantity] = {}
    running: list[tuple[Key, Quantity]] = []  # the running part, once for each level of recursion

    def begin(key: Key, part: ModuleSpan) -> Callable[..., None]:
        def before(*_args: object) -> None:
            calls_itself = part.first is part.last and running and running[0][0] == key
            if not running or calls_itself:
                running.append((key, read()))

        return before

    def end(key: Key) -> Callable[..., None]:
        def after(*_args: object) -> None:
            until = read()
            if running and running[0][0] == key:
                _, since = running.pop()
                if not running:
                    increase = until - since
                    growth[key] = growth[key] + increase if key in growth else increase

        return after

    with ExitStack() as hooks:
        for key, part in parts.items():
            if any(isinstance(module, torch.jit.ScriptModule) for module in part):
                continue
            hooks.callback(part.first.register_forward_pre_hook(begin(key, part)).remove)
            # always_call: a module that raises has ended too, and its caller may catch the error.
            hooks.callback(part.last.register_forward_hook(end(key), always_call=True).remove)
        yield growth
