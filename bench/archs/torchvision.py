"""torchvision's classifiers."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bench.archs.arguments import as_code, call
from bench.archs.library_names import registered_functions
from bench.archs.source import Accuracy, Arch, Source
from bench.names import choose

if TYPE_CHECKING:
    from torch import nn

PREFIX = "torchvision"
# Vision transformers are built for images of one size: vit_h_14's newest weights are for 518.
_OF_ONE_SIZE = "vit_"
_WITH_AUXILIARY_HEADS = frozenset({"googlenet", "inception_v3"})


def _find(name: str) -> Arch:
    return Arch(
        name=f"{PREFIX}:{name}",
        what=f"torchvision's {name}",
        source="torchvision.models",
        build=lambda aux, /, **arguments: _build(name, aux, arguments),
        has_aux=name in _WITH_AUXILIARY_HEADS,
        lines=lambda **arguments: _lines(name, arguments),
        image_size=lambda: _image_size(name),
        accuracy=lambda: accuracy(name),
        check=lambda: _check(name),
        imports=("torchvision",),
    )


def _names() -> Sequence[str]:
    return registered_functions(PREFIX)


def _check(name: str) -> None:
    """Raise ``RequestError`` if torchvision is installed and has no classifier of this name."""
    if known := _names():
        choose("torchvision classifier", name, dict.fromkeys(known))


def _classifiers() -> Mapping[str, None]:
    from torchvision import models

    return dict.fromkeys(models.list_models(module=models))


def accuracy(name: str) -> Accuracy:
    """Return the accuracy that torchvision publishes for a classifier's newest weights."""
    weights = _newest_weights(name)
    ((data, figures),) = weights.meta["_metrics"].items()
    return Accuracy(percent=figures["acc@1"], source=f"torchvision's {weights} on {data}")


def _image_size(name: str) -> int:
    """Return the size of the images that the network's newest weights are evaluated with."""
    size: int = _newest_weights(name).transforms.keywords["crop_size"]
    return size


def _newest_weights(name: str) -> Any:
    from torchvision import models

    choose("torchvision classifier", name, _classifiers())
    return models.get_model_weights(name).DEFAULT


def _build(name: str, aux: bool, arguments: Mapping[str, Any]) -> "nn.Module":
    from torchvision import models

    choose("torchvision classifier", name, _classifiers())
    model: nn.Module = call(models.get_model, arguments, name=name, **_chosen(name, aux=aux))
    return model


def _chosen(name: str, *, aux: bool) -> dict[str, Any]:
    """Return the arguments that the suite chooses."""
    chosen: dict[str, Any] = {"weights": None}
    if name in _WITH_AUXILIARY_HEADS:  # their default initialisation takes seconds
        chosen |= {"aux_logits": aux, "init_weights": False}
    if name.startswith(_OF_ONE_SIZE):
        chosen["image_size"] = _image_size(name)
    return chosen


def _lines(name: str, arguments: Mapping[str, Any]) -> str:
    call_of_models = as_code(f"models.{name}", **_chosen(name, aux=False), **arguments)
    return f"from torchvision import models\n\nmodel = {call_of_models}\n"


TORCHVISION = Source(
    name="torchvision", form="torchvision:NAME", prefix=PREFIX, find=_find, names=_names
)
