"""Number formats: meaning, supported devices, and error bounds relative to fp32.

The table imports no torch; applying a dtype does.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True, kw_only=True)
class Dtype:
    """A number format and its name in this suite."""

    name: str
    torch_name: str
    tf32: bool
    """Whether convolutions and matrix products may round fp32 inputs to a 10-bit mantissa."""
    devices: frozenset[str]
    error_bound: float
    """Largest accepted relative L2 distance of the outputs from those of fp32 eager."""
    training_leaf_bound: float
    """The same for each output tensor of a training step; all together keep ``error_bound``."""
    gradient_bound: float | None
    """The same for a training step's gradients; None if rounding alone decorrelates them."""

    @property
    def torch_dtype(self) -> "torch.dtype":
        import torch

        dtype: torch.dtype = getattr(torch, self.torch_name)
        return dtype

    def allowing(self, error_budget: float) -> "Dtype":
        """The same format with bounds on outputs that are larger by a rewrite's error budget."""
        return replace(
            self,
            error_bound=self.error_bound + error_budget,
            training_leaf_bound=self.training_leaf_bound + error_budget,
        )

    def pin_precision(self) -> None:
        """Set TF32 for convolutions and matrix products; by default only convolutions use it."""
        import torch

        # The first two keep all getters, old and new, consistent in torch 2.11 to 2.15, without a
        # warning. Setting each fp32_precision instead makes the old getters raise, and Inductor
        # reads those. Only Inductor's own convolutions read the third (_inductor/kernel/conv.py):
        # without it, those of max-autotune would not follow the dtype.
        torch.backends.cudnn.allow_tf32 = self.tf32
        torch.set_float32_matmul_precision("high" if self.tf32 else "highest")
        torch.backends.cudnn.fp32_precision = "tf32" if self.tf32 else "ieee"


_EVERYWHERE = frozenset({"cpu", "cuda"})
_CUDA = frozenset({"cuda"})

# A wrong network has a distance of about 1. Measured on correct networks with random weights, where
# every layer multiplies the rounding error: fp32 outputs 1e-6 to 1e-5 and gradients up to 2.5e-2;
# bf16 (8 bits) outputs 1e-2 to 5e-2 and gradients 0.1 to 0.9. tf32 and fp16 keep 11 bits, so their
# errors are 8 times smaller than bf16's. In training, batch norm divides by the deviation of few
# values: at batch sizes 2 to 8, the auxiliary logits of torchvision's inception_v3 have distances
# of 0.38 to 0.22 in bf16.
_ALL = (
    Dtype(
        name="fp32",
        torch_name="float32",
        tf32=False,
        devices=_EVERYWHERE,
        error_bound=1e-3,
        training_leaf_bound=1e-3,
        gradient_bound=0.2,
    ),
    Dtype(
        name="tf32",
        torch_name="float32",
        tf32=True,
        devices=_CUDA,
        error_bound=5e-2,
        training_leaf_bound=1e-1,
        gradient_bound=None,
    ),
    Dtype(
        name="bf16",
        torch_name="bfloat16",
        tf32=False,
        devices=_EVERYWHERE,
        error_bound=2e-1,
        training_leaf_bound=5e-1,
        gradient_bound=None,
    ),
    Dtype(
        name="fp16",
        torch_name="float16",
        tf32=False,
        devices=_CUDA,
        error_bound=5e-2,
        training_leaf_bound=1e-1,
        gradient_bound=None,
    ),
)
DTYPES: Mapping[str, Dtype] = MappingProxyType({dtype.name: dtype for dtype in _ALL})
