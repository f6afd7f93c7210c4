"""Networks of the user's own: a callable that takes nothing and returns an ``nn.Module``.

If the callable has an attribute ``image_size``, the network is made for images of this height and
width, in pixels. If it has an attribute ``example_inputs``, a function of the batch size, the
network takes what that returns: a tensor, or several tensors as positional arguments.
"""

import importlib
from typing import TYPE_CHECKING

from bench.archs.source import IMAGE_SIZE, Arch, Source
from bench.errors import one_line
from bench.names import RequestError
from bench.registry import check_plugins

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn


def _find(name: str) -> Arch:
    module, _, factory = name.partition(":")
    return Arch(
        name=name,
        what="a user-defined factory",
        source=name,
        build=lambda _aux: _build(module, factory),
        image_size=lambda: _image_size(module, factory),
        inputs=lambda batch_size: _inputs(module, factory, batch_size),
        code=(module.partition(".")[0],),
    )


def _callable(module_name: str, factory_name: str) -> "Callable[[], object]":
    try:
        factory = getattr(importlib.import_module(module_name), factory_name)
    except (ImportError, AttributeError, TypeError) as error:
        check_plugins()  # one of them may define a source with this prefix
        raise RequestError(
            f"cannot import {factory_name!r} from {module_name!r}: {error}"
        ) from error
    except Exception as error:
        raise RequestError(f"importing {module_name} raised {one_line(error)}") from error
    if not callable(factory):
        raise RequestError(f"{module_name}:{factory_name} is {factory!r}, which cannot be called")
    return factory  # type: ignore[no-any-return]


def _image_size(module_name: str, factory_name: str) -> int:
    size = getattr(_callable(module_name, factory_name), "image_size", IMAGE_SIZE)
    if not isinstance(size, int) or size < 1:
        raise RequestError(
            f"{module_name}:{factory_name}.image_size is {size!r}, not a whole number of pixels"
        )
    return size


def _inputs(module_name: str, factory_name: str, batch_size: int) -> object:
    function = getattr(_callable(module_name, factory_name), "example_inputs", None)
    if function is None:
        return None
    subject = f"{module_name}:{factory_name}.example_inputs"
    if not callable(function):
        raise RequestError(f"{subject} is {function!r}, not a function of the batch size")
    try:
        return function(batch_size)
    except MemoryError:
        raise
    except Exception as error:
        raise RequestError(f"{subject}({batch_size}) raised {one_line(error)}") from error


def _build(module_name: str, factory_name: str) -> "nn.Module":
    from torch import nn

    factory = _callable(module_name, factory_name)
    try:
        model = factory()
    except MemoryError:  # not a wrong request: fewer live networks may help
        raise
    except Exception as error:
        raise RequestError(f"{module_name}:{factory_name}() raised {one_line(error)}") from error
    if not isinstance(model, nn.Module):
        raise RequestError(
            f"{module_name}:{factory_name}() returned {type(model).__name__}, not an nn.Module"
        )
    return model


FACTORY = Source(name="factory", form="package.module:factory", prefix=None, find=_find)
