"""Declaration of a rewrite."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench import optional
from bench.capabilities import EVERY_DEVICE, INFERENCE

if TYPE_CHECKING:
    from torch import Tensor, nn

    from bench.archs.source import Inputs


def _unchanged(tensor: "Tensor") -> "Tensor":
    return tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Rewrite:
    """A change of a network that does not change what it computes."""

    name: str
    what: str
    """One line for ``googlenet-bench modes``."""
    apply: "Callable[[nn.Module, Inputs], nn.Module]"
    """Function that rewrites a network, in place or not, and returns it. Its second argument is
    the tuple of positional arguments of a forward pass, usually one batch of images, in the memory
    format that the network will get. Both are in fp32, unless ``after_cast``. The network is in
    ``eval()``, unless it will be trained. Raises ``RequestError`` for a network that it does not
    fit."""
    code: str = ""
    """The lines of Python that a user writes to rewrite a network for inference, with their
    imports; empty if they are not known. They read ``torch``, and ``model`` and ``example`` as
    ``apply`` and ``arrange`` get them, and assign both names anew if they change."""
    arrange: "Callable[[Tensor], Tensor]" = _unchanged
    """Function that returns an input in the memory format that the rewritten network needs."""
    error_budget: float = 0.0
    """Relative L2 distance of outputs that it may add to the bound of the dtype; 0 if it does not
    change rounding."""
    is_memory_format: bool = False
    """Whether it is a memory format: a mode has at most one, and it is applied last in fp32."""
    after_cast: bool = False
    """Whether it applies after the network and the inputs have the dtype of the cell, and so after
    memory formats."""
    fixes_threads: bool = False
    """Whether what it returns depends on the number of threads while it applies."""
    order: int = 0
    """Rewrites apply in this order, and in that of their names if it is the same."""
    needs_torch: bool = False
    """Whether it uses operators that only PyTorch's eager and Inductor run, so that others are
    refused."""
    not_exported: str = ""
    """Why a network that it rewrote cannot be exported to a file, and what to do; empty if it
    can."""
    requires: tuple[str, ...] = ()
    """Modules besides torch that it needs."""
    extra: str = ""
    """The extra of this package that installs them."""
    imports: tuple[str, ...] = ()
    """Modules besides torch that ``apply`` imports and that are safe to import before a fork."""
    keeps_modules: bool = True
    """Whether the network still calls its own modules, so that stages can be timed."""
    devices: frozenset[str] = EVERY_DEVICE
    tasks: frozenset[str] = INFERENCE
    """A rewrite that supports training must keep the modules and the names of their parameters."""
    limits: str = ""
    """Why it does not fit every task; added to the error."""

    @property
    def missing(self) -> str:
        """Sentence on what is not installed and how to install it; empty if nothing is missing."""
        return optional.missing(self.name, self.requires, self.extra)
