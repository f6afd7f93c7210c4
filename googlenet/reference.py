"""torchvision's GoogLeNet with this project's interface, and conversion of weights."""

import re
from collections.abc import Mapping

import torch
from torch import Tensor
from torchvision.models import GoogLeNet as _TorchvisionGoogLeNet
from torchvision.models.googlenet import Inception as _TorchvisionInception

from googlenet.heads import GoogLeNetOutput
from googlenet.images import check_images

torch.fx.wrap("check_images")  # keeps the check as one call: torch.fx traces without shapes

TorchvisionInception = _TorchvisionInception
"""torchvision's Inception block."""

MIN_IMAGE_SIZE = 15  # pixels; GoogLeNet_Weights.IMAGENET1K_V1.meta["min_size"]

# Parts of keys: this project's, torchvision's. All other keys are the same in both.
_RENAMES = (
    ("conv2.0.", "conv2."),
    ("conv2.1.", "conv3."),
    (".branch1x1.", ".branch1."),
    (".branch3x3.", ".branch2."),
    (".branch5x5.", ".branch3."),
    (".branch_pool.", ".branch4."),
)


class TorchvisionGoogLeNet(_TorchvisionGoogLeNet):  # type: ignore[misc]
    """torchvision's own class and state dict, with ``GoogLeNetOutput`` as output in training."""

    def __init__(self, *, aux: bool = False, num_classes: int = 1000) -> None:
        # torchvision's initialisation draws truncated normals, which takes seconds.
        super().__init__(num_classes=num_classes, aux_logits=aux, init_weights=False)
        self.min_image_size = MIN_IMAGE_SIZE  # TorchScript cannot read module-level numbers

    def forward(self, x: Tensor) -> Tensor | GoogLeNetOutput:
        """Return logits N × num_classes, or in training with heads a ``GoogLeNetOutput``."""
        check_images(x, channels=3, min_size=self.min_image_size)
        # The two calls of torchvision's forward: TorchScript does not support super().forward.
        x, aux2, aux1 = self._forward(self._transform_input(x))  # N num_classes
        if aux1 is None or aux2 is None:
            return x
        return GoogLeNetOutput(x, aux1, aux2)


def to_torchvision(state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return a state dict of ``googlenet-3x3-pool2`` with the keys of torchvision's GoogLeNet."""
    return _renamed(state_dict, _RENAMES)


def from_torchvision(state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return a state dict of torchvision's GoogLeNet with the keys of ``googlenet-3x3-pool2``."""
    return _renamed(
        state_dict, tuple((torchvision_part, own_part) for own_part, torchvision_part in _RENAMES)
    )


def _renamed(
    state_dict: Mapping[str, Tensor], renames: tuple[tuple[str, str], ...]
) -> dict[str, Tensor]:
    """Return the state dict with the first match of ``renames`` in each key replaced."""
    table = dict(renames)
    pattern = re.compile("|".join(_anchored(part) for part in table))
    return {
        pattern.sub(lambda match: table[match.group()], key, count=1): tensor
        for key, tensor in state_dict.items()
    }


def _anchored(part: str) -> str:
    return re.escape(part) if part.startswith(".") else "^" + re.escape(part)
