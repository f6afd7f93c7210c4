"""torchvision's classifiers."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from bench.archs.source import Arch, Source
from bench.names import choose

if TYPE_CHECKING:
    from torch import nn

PREFIX = "torchvision"
_WITH_AUXILIARY_HEADS = frozenset({"googlenet", "inception_v3"})


def _find(name: str) -> Arch:
    return Arch(
        name=f"{PREFIX}:{name}",
        what=f"torchvision's {name}",
        source="torchvision.models",
        build=lambda aux: _build(name, aux),
        image_size=lambda: _image_size(name),
        imports=("torchvision",),
    )


def _names() -> Sequence[str]:
    from torchvision import models

    return tuple(models.list_models(module=models))


def _image_size(name: str) -> int:
    """Return the size of the images that the network's newest weights are evaluated with."""
    from torchvision import models

    choose("torchvision classifier", name, dict.fromkeys(_names()))
    size: int = models.get_model_weights(name).DEFAULT.transforms.keywords["crop_size"]
    return size


def _build(name: str, aux: bool) -> "nn.Module":
    from torchvision import models

    choose("torchvision classifier", name, dict.fromkeys(_names()))
    # Their default initialisation takes seconds.
    options: Mapping[str, bool] = {"aux_logits": aux, "init_weights": False}
    model: nn.Module = models.get_model(
        name, weights=None, **(options if name in _WITH_AUXILIARY_HEADS else {})
    )
    return model


TORCHVISION = Source(
    name="torchvision", form="torchvision:NAME", prefix=PREFIX, find=_find, names=_names
)
