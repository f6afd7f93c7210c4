"""The training loss of any network, and the number of classes in its output."""

from typing import TYPE_CHECKING, Any

from bench.errors import RequestError

if TYPE_CHECKING:
    from torch import Tensor


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
