"""What a rewrite declares."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench import optional

if TYPE_CHECKING:
    from torch import Tensor, nn

EVERY_DEVICE = frozenset({"cpu", "cuda"})
EVERY_TASK = frozenset({"infer", "train"})
INFERENCE = frozenset({"infer"})


def _unchanged(images: "Tensor") -> "Tensor":
    return images


@dataclass(frozen=True, slots=True, kw_only=True)
class Rewrite:
    """A change of a network that leaves its function as it is."""

    name: str
    what: str
    """One line for ``googlenet-bench modes``."""
    apply: "Callable[[nn.Module, Tensor], nn.Module]"
    """Rewrite a network, in place or not; it is in ``eval()`` unless it will be trained. The second
    argument is a batch as it will have it."""
    arrange: "Callable[[Tensor], Tensor]" = _unchanged
    """Return a batch of images in the memory format that the rewritten network wants."""
    error_budget: float = 0.0
    """Relative L2 distance of outputs that it may add to what the dtype is allowed; 0 if it changes
    no rounding."""
    is_memory_format: bool = False
    """Whether it is a memory format: a mode has at most one, and it is applied last."""
    order: int = 0
    """Rewrites apply in this order, and in that of their names if it is the same."""
    requires: tuple[str, ...] = ()
    """Modules besides torch that it needs."""
    extra: str = ""
    """The extra of this package that installs them."""
    devices: frozenset[str] = EVERY_DEVICE
    tasks: frozenset[str] = INFERENCE
    """A rewrite that supports training must keep the modules and the names of their parameters."""
    limits: str = ""
    """Why it does not fit every task; added to the error."""

    @property
    def missing(self) -> str:
        """Says what is not installed and how to install it; empty if nothing is missing."""
        return optional.missing(self.name, self.requires, self.extra)
