"""Number formats: what each means, where it runs, and how far its output may be from fp32's.

Naming one imports no torch; applying it does.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True, kw_only=True)
class Dtype:
    """A number format as this suite names it."""

    name: str
    torch_name: str
    tf32: bool
    """Whether convolutions and matrix products may round fp32 inputs to 10 bits of mantissa."""
    devices: frozenset[str]
    error_bound: float
    """Largest relative L2 distance of outputs from fp32 eager's that is not a wrong answer."""
    training_leaf_bound: float
    """The same for each tensor that a training step puts out; together they keep ``error_bound``.
    """
    gradient_bound: float | None
    """The same for a training step's gradients; None where rounding alone decorrelates them."""

    @property
    def torch_dtype(self) -> "torch.dtype":
        import torch

        dtype: torch.dtype = getattr(torch, self.torch_name)
        return dtype

    def pin_precision(self) -> None:
        """Set both knobs of this process: cuDNN's convolutions default to TF32, products don't."""
        import torch

        # The first two leave every getter, old and new, consistent in torch 2.11 to 2.15, with no
        # warning; setting fp32_precision knob by knob instead makes the old getters raise, and
        # Inductor reads those. The third is read by no library, but by Inductor's own convolutions
        # (_inductor/kernel/conv.py): without it max-autotune's would not be what the dtype says.
        torch.backends.cudnn.allow_tf32 = self.tf32
        torch.set_float32_matmul_precision("high" if self.tf32 else "highest")
        torch.backends.cudnn.fp32_precision = "tf32" if self.tf32 else "ieee"


_EVERYWHERE = frozenset({"cpu", "cuda"})
_CUDA = frozenset({"cuda"})

# A wrong network is a distance of about 1 away. Measured on right ones with random weights, where
# every layer multiplies what rounding did: fp32 outputs 1e-6 to 1e-5 and gradients up to 2.5e-2;
# bf16 (8 bits) outputs 1e-2 to 5e-2 and gradients 0.1 to 0.9. tf32 and fp16 keep 11 bits, and are
# 8 times closer than bf16. In training batch norm divides by the deviation of few values: of a
# batch of 2 to 8, the auxiliary logits of torchvision's inception_v3 are 0.38 to 0.22 away in bf16.
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
