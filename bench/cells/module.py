"""Changes that tasks make to any ``nn.Module``: eval mode and the dtype of its weights."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


def to_eval(model: nn.Module) -> nn.Module:
    """Put a network into eval mode, and return it.

    A network may override ``train()`` with a method that raises, as an exported program does, or
    that does nothing. Then each module's ``training`` is set instead.
    """
    try:
        model.eval()
    except Exception:  # noqa: BLE001 - any error of train() has the fallback below
        is_done = False
    else:
        is_done = not is_training(model)
    if not is_done:
        for part in model.modules():
            if is_training(part):
                part.training = False
    return model


def is_training(part: nn.Module) -> bool:
    """Whether a module is in training mode; frozen TorchScript has no such attribute."""
    return getattr(part, "training", False)


@contextmanager
def in_eval(model: nn.Module) -> Iterator[None]:
    """Put a network into eval mode for a block, then restore the mode of each module."""
    trained = [part for part in model.modules() if is_training(part)]
    to_eval(model)
    try:
        yield
    finally:
        for part in trained:
            part.training = True


def cast(model: nn.Module, dtype: torch.dtype) -> nn.Module:
    """Convert floating-point parameters and buffers in place, and return the network.

    ``nn.Module.to(dtype)`` also converts complex ones, which drops their imaginary parts.
    """
    model._apply(lambda tensor: tensor.to(dtype) if tensor.is_floating_point() else tensor)
    return model


def kind(part: nn.Module) -> str:
    """Return the name of a module's class; for a ``ScriptModule``, that of the original class."""
    return str(getattr(part, "original_name", type(part).__name__))
