"""The networks of timm, PyTorch Image Models."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bench import optional
from bench.archs.arguments import as_code, call
from bench.archs.library_names import registered_functions
from bench.archs.source import IMAGE_SIZE, Arch, Source
from bench.errors import RequestError
from bench.names import unknown

if TYPE_CHECKING:
    from torch import nn

PREFIX = "timm"


def _find(name: str) -> Arch:
    return Arch(
        name=f"{PREFIX}:{name}",
        what=f"timm's {name}",
        source="timm.models",
        build=lambda _aux, /, **arguments: _build(name, arguments),
        lines=lambda **arguments: _lines(name, arguments),
        image_size=lambda: _image_size(name),
        check=lambda: _check_quickly(name),
        imports=(PREFIX,),
        requires=(PREFIX,),
        extra=PREFIX,
    )


def _names() -> Sequence[str]:
    return registered_functions(PREFIX)


def _check_quickly(name: str) -> None:
    """Check as ``_check`` does if timm is installed; import it only for names it may not have."""
    known = _names()
    if known and name.partition(".")[0] not in known:
        _check(name)


def _check(name: str) -> None:
    """Raise ``RequestError`` if timm has no network ``NAME`` or ``NAME.TAG``.

    The tag says on what the weights were trained, and with it which images they are for.
    """
    if lacking := optional.missing(f"{PREFIX}:{name}", (PREFIX,), PREFIX):
        raise RequestError(lacking)
    import timm

    if not timm.is_model(name):
        raise unknown("network of timm", name, timm.list_models())


def _image_size(name: str) -> int:
    """Return the size of the images that the network's published weights were trained with."""
    _check(name)
    import timm

    configuration = timm.get_pretrained_cfg(name)
    _, height, width = configuration.input_size if configuration else (3, IMAGE_SIZE, IMAGE_SIZE)
    if height != width:
        raise RequestError(
            f"{PREFIX}:{name} takes images of {height}×{width} pixels; only square images are drawn"
        )
    return int(height)


def _build(name: str, arguments: Mapping[str, Any]) -> "nn.Module":
    _check(name)
    import timm

    model: nn.Module = call(timm.create_model, arguments, model_name=name, pretrained=False)
    return model


def _lines(name: str, arguments: Mapping[str, Any]) -> str:
    call_of_timm = as_code("timm.create_model", name, pretrained=False, **arguments)
    return f"import timm\n\nmodel = {call_of_timm}\n"


TIMM = Source(
    name="timm",
    form="timm:NAME",
    prefix=PREFIX,
    requires=(PREFIX,),
    extra=PREFIX,
    find=_find,
    names=_names,
)
