"""Weights of the user: a state dict from a file, loaded into a network."""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from bench.archs.source import Arch
from bench.error_text import first_line, one_line
from bench.errors import RequestError
from googlenet.checkpoint import state_dict_in

SHOWN = 3  # names in a message


def with_weights(arch: Arch, path: Path) -> Arch:
    """Return an arch whose networks are built with the weights of a file.

    Raises ``RequestError`` if the file cannot be read as a state dict. So does building, if it does
    not fit the network.
    """
    return replace(arch, build=partial(_built, arch.build, _read(path), path))


def _read(path: Path) -> Mapping[str, Tensor]:
    """Return a state dict from a file, from which only tensors are read: no code of it is run."""
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise RequestError(f"cannot read {path}: {error.strerror or error}") from error
    except Exception as error:
        raise RequestError(
            f"{path} cannot be read as a state dict of tensors ({one_line(error)}): save it with "
            "torch.save(model.state_dict(), FILE)"
        ) from error
    state = state_dict_in(content)
    if state is None:
        raise RequestError(
            f"{path} contains something else than a state dict: save it with "
            "torch.save(model.state_dict(), FILE)"
        )
    return state


def _built(
    build: Callable[..., nn.Module], state: Mapping[str, Tensor], path: Path, aux: bool
) -> nn.Module:
    """Build a network, and load a state dict, whose auxiliary heads it may lack."""
    model = build(aux)
    known = model.state_dict().keys()
    if not aux and state.keys() - known:
        heads = build(True).state_dict().keys() - known
        kept = OrderedDict((name, tensor) for name, tensor in state.items() if name not in heads)
        state = _with_versions(kept, state)
    differences = [
        *_named("it lacks", known - state.keys()),
        *_named("the network lacks", state.keys() - known),
    ]
    if differences:
        raise RequestError(f"{path} does not fit the network: {'; '.join(differences)}")
    try:
        model.load_state_dict(state)
    except (RuntimeError, ValueError) as error:
        lines = str(error).strip().splitlines()
        raise RequestError(
            f"{path} does not fit the network: {first_line(lines[-1]).strip()}"
        ) from error
    return model


def _with_versions(
    state: OrderedDict[str, Tensor], original: Mapping[str, Tensor]
) -> Mapping[str, Tensor]:
    """Return ``state`` with the versions of modules that PyTorch keeps beside the tensors."""
    state._metadata = getattr(original, "_metadata", {})  # type: ignore[attr-defined]
    return state


def _named(what: str, names: Iterable[Any]) -> list[str]:
    ordered = sorted(map(str, names))
    if not ordered:
        return []
    more = len(ordered) - SHOWN
    shown = ", ".join(ordered[:SHOWN])
    return [f"{what} {shown}{f' and {more} more' if more > 0 else ''}"]
