"""GoogLeNet (Inception v1) from scratch, its variants, and torchvision's GoogLeNet.

>>> import googlenet
>>> model = googlenet.build("googlenet", aux=True)

Names that need torch are imported on first use, so that listing the registry and writing reports
work without torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from googlenet.config import INCEPTION_WIDTHS, GoogLeNetConfig, InceptionWidths
from googlenet.variants import VARIANTS, Variant, build

if TYPE_CHECKING:
    from googlenet.heads import GoogLeNetOutput, loss
    from googlenet.model import GoogLeNet

__all__ = [
    "INCEPTION_WIDTHS",
    "VARIANTS",
    "GoogLeNet",
    "GoogLeNetConfig",
    "GoogLeNetOutput",
    "InceptionWidths",
    "Variant",
    "build",
    "loss",
]

_NEED_TORCH = {"GoogLeNet": "model", "GoogLeNetOutput": "heads", "loss": "heads"}


def __getattr__(name: str) -> Any:
    if name not in _NEED_TORCH:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_NEED_TORCH[name]}"), name)
