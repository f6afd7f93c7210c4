"""Networks of the user's own: a callable that takes nothing and returns an ``nn.Module``."""

import importlib
from typing import TYPE_CHECKING

from bench.archs.source import Arch, Source
from bench.errors import one_line
from bench.names import RequestError
from bench.registry import check_plugins

if TYPE_CHECKING:
    from torch import nn


def _find(name: str) -> Arch:
    module, _, factory = name.partition(":")
    return Arch(
        name=name,
        what="a user-defined factory",
        source=name,
        build=lambda _aux: _build(module, factory),
        code=(module.partition(".")[0],),
    )


def _build(module_name: str, factory_name: str) -> "nn.Module":
    from torch import nn

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
