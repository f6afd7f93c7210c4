"""Checkpoints: read a state dict from a file of tensors, and load it into a network."""

import pickle
import warnings
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn


def read(path: str | Path) -> dict[str, Tensor]:
    """Read a state dict with ``weights_only=True``, so that a file cannot run code.

    The state dict may also be under the key ``state_dict`` or ``model``, as training scripts write
    it. Raises ``ValueError`` for any other content, and ``OSError`` if the file cannot be read.
    """
    try:
        with warnings.catch_warnings():  # torch warns about pickles and then refuses them
            warnings.simplefilter("ignore")
            content = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
        reason = (
            str(error).strip().splitlines()[0] if str(error).strip() else "the file is truncated"
        )
        raise ValueError(f"{path} is not a checkpoint of tensors only: {reason}") from error
    state = state_dict_in(content)
    if state is None:
        raise ValueError(f"{path} holds no state dict: expected a mapping from names to tensors")
    return dict(state)


def state_dict_in(content: object) -> Mapping[str, Tensor] | None:
    """Return the state dict in the content of a file; None if there is none.

    It may also be under the key ``state_dict`` or ``model``, as training scripts write it.
    """
    for wrapper in ("state_dict", "model"):
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
    if not isinstance(content, Mapping) or not all(
        isinstance(value, Tensor) for value in content.values()
    ):
        return None
    return content


def load(model: nn.Module, state_dict: Mapping[str, Tensor]) -> None:
    """Load weights that fit the model exactly.

    Raises ``ValueError`` with the missing, extra and misshaped keys if they do not fit; the model
    is unchanged then.
    """
    own = model.state_dict()
    # Checkpoints before PyTorch 0.4.1 have no batch counter; batch norm then counts from zero.
    missing = [key for key in own if key not in state_dict and not _is_batch_counter(key)]
    extra = [key for key in state_dict if key not in own]
    misshaped = [
        f"{key} is {_shape(state_dict[key])} and should be {_shape(own[key])}"
        for key in own
        if key in state_dict and state_dict[key].shape != own[key].shape
    ]
    problems = [
        _listed("missing", missing),
        _listed("extra", extra),
        _listed("misshaped", misshaped),
    ]
    if any(problems):
        raise ValueError(
            f"these weights do not fit {type(model).__name__}: " + "; ".join(filter(None, problems))
        )
    model.load_state_dict(state_dict, strict=False)


def _is_batch_counter(key: str) -> bool:
    return key.endswith(".num_batches_tracked")


def _shape(tensor: Tensor) -> str:
    return "×".join(map(str, tensor.shape)) or "a scalar"


def _listed(kind: str, keys: list[str]) -> str:
    if not keys:
        return ""
    return f"{len(keys)} {kind} ({', '.join(keys)})"
