"""torchvision's classifiers."""

import re
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from bench.archs.source import Arch, Source
from bench.names import choose

if TYPE_CHECKING:
    from torch import nn

PREFIX = "torchvision"
# A function under this decorator is a network; further decorators may stand between them.
_REGISTERED = re.compile(r"^@register_model\(\)\n(?:(?!def ).*\n)*def (\w+)\(", re.MULTILINE)
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
    """Return the names of the classifiers, or none if torchvision is not installed.

    They are read in its files, because importing it takes seconds.
    """
    spec = find_spec(PREFIX)
    if spec is None or spec.origin is None:
        return ()
    files = sorted((Path(spec.origin).parent / "models").glob("*.py"))
    return tuple(name for file in files for name in _REGISTERED.findall(file.read_text("utf-8")))


def _classifiers() -> Mapping[str, None]:
    from torchvision import models

    return dict.fromkeys(models.list_models(module=models))


def _image_size(name: str) -> int:
    """Return the size of the images that the network's newest weights are evaluated with."""
    from torchvision import models

    choose("torchvision classifier", name, _classifiers())
    size: int = models.get_model_weights(name).DEFAULT.transforms.keywords["crop_size"]
    return size


def _build(name: str, aux: bool) -> "nn.Module":
    from torchvision import models

    choose("torchvision classifier", name, _classifiers())
    # Their default initialisation takes seconds.
    options: Mapping[str, bool] = {"aux_logits": aux, "init_weights": False}
    model: nn.Module = models.get_model(
        name, weights=None, **(options if name in _WITH_AUXILIARY_HEADS else {})
    )
    return model


TORCHVISION = Source(
    name="torchvision", form="torchvision:NAME", prefix=PREFIX, find=_find, names=_names
)
