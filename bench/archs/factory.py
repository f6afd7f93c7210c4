"""Networks of the user's own: a callable in a module or a file that returns an ``nn.Module``.

If the callable has an attribute ``image_size``, the network is made for images of this height and
width, in pixels. If it has an attribute ``example_inputs``, a function of the batch size, the
network takes what that returns: a tensor, several tensors as positional arguments, or a dict of
tensors as keyword arguments.

Such code is run: in the workers, and by commands that build networks. Listing, and reading reports,
runs none.
"""

import importlib
from collections.abc import Iterable
from types import ModuleType
from typing import TYPE_CHECKING, Any

from bench.archs import module_names, source_file
from bench.archs.arguments import as_code
from bench.archs.source import Arch, Source
from bench.error_text import one_line
from bench.errors import RequestError
from bench.names import hint
from bench.registry import check_plugins

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torch import nn


def _find(name: str) -> Arch:
    module, _, factory = name.partition(":")
    return Arch(
        name=name,
        what="a user-defined factory",
        source=name,
        build=lambda _aux, /, **arguments: _build(module, factory, arguments),
        lines=lambda **arguments: _lines(module, factory, arguments),
        image_size=lambda: _image_size(module, factory),
        inputs=lambda batch_size: _inputs(module, factory, batch_size),
        check=lambda: _check(module, factory),
        code=(module if source_file.is_path(module) else module.partition(".")[0],),
    )


def _check(module: str, factory: str) -> None:
    """Raise ``RequestError`` if there is no such module or file, or no such name in it."""
    if module_names.is_nowhere(module):
        check_plugins()  # one of them may define a source with this prefix
        kind = "file" if source_file.is_path(module) else "module"
        raise RequestError(f"cannot import {factory!r} from {module!r}: there is no such {kind}")
    files = module_names.files(module)
    names = [module_names.defined(file) for file in files]
    if names and all(each is not None and factory not in each for each in names):
        raise RequestError(
            f"cannot import {factory!r} from {module!r}: {files[0]} defines no such name"
            + _nearest(module, factory, module_names.callables(files[0]))
        )


def _nearest(module: str, factory: str, known: Iterable[str]) -> str:
    """Return the nearest of the names in a module, as the end of a sentence; empty if none is."""
    nearest = hint(factory, {name: f"{module}:{name}" for name in known})
    return f"; {nearest}" if nearest else ""


def _callable(module_name: str, factory_name: str) -> "Callable[..., object]":
    try:
        factory = getattr(_module(module_name), factory_name)
    except RequestError:
        raise
    except (ImportError, AttributeError, TypeError) as error:
        check_plugins()  # one of them may define a source with this prefix
        known = module_names.files(module_name) if isinstance(error, AttributeError) else []
        hints = _hint_at_file(module_name, factory_name) or "".join(
            _nearest(module_name, factory_name, module_names.callables(file)) for file in known[:1]
        )
        raise RequestError(
            f"cannot import {factory_name!r} from {module_name!r}: {error}{hints}"
        ) from error
    except Exception as error:
        raise RequestError(f"importing {module_name} raised {one_line(error)}") from error
    if not callable(factory):
        raise RequestError(f"{module_name}:{factory_name} is {factory!r}, which cannot be called")
    return factory  # type: ignore[no-any-return]


def _hint_at_file(module_name: str, factory_name: str) -> str:
    """Return how to name a function by its file, if its package cannot be imported by its name.

    This is a package in ``src``, or one with the name of the suite's. Empty for other modules. The
    hint continues the sentence of the error.
    """
    in_src = f"src/{module_name.replace('.', '/')}{source_file.SUFFIX}"
    if source_file.find(in_src, source_file.roots()):
        return f"; install your project, or name the file, {in_src}:{factory_name}"
    is_suite = module_name.partition(".")[0] == source_file.SUITE
    if not is_suite:
        return ""
    file = f"{module_name.replace('.', '/')}{source_file.SUFFIX}"
    return (
        f"; here, {source_file.SUITE} is the package of googlenet-bench: name the file of your own "
        f"package, {file}:{factory_name}"
    )


def _module(name: str) -> ModuleType:
    return source_file.load(name) if source_file.is_path(name) else importlib.import_module(name)


def _image_size(module_name: str, factory_name: str) -> int | None:
    size = getattr(_callable(module_name, factory_name), "image_size", None)
    if size is not None and (not isinstance(size, int) or size < 1):
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


def _build(module_name: str, factory_name: str, arguments: "Mapping[str, Any]") -> "nn.Module":
    from torch import nn

    factory = _callable(module_name, factory_name)
    call = as_code(f"{module_name}:{factory_name}", **arguments)
    try:
        model = factory(**arguments)
    except MemoryError:  # not a wrong request: fewer live networks may help
        raise
    except Exception as error:
        raise RequestError(f"{call} raised {one_line(error)}") from error
    if not isinstance(model, nn.Module):
        raise RequestError(f"{call} returned {type(model).__name__}, not an nn.Module")
    return model


def _lines(module: str, factory: str, arguments: "Mapping[str, Any]") -> str:
    """Return lines that import a file from the folder of its outermost package, or its own."""
    found = ""
    if source_file.is_path(module):
        folder, module = source_file.importable(module)
        found = f"import sys\n\nsys.path.insert(0, {str(folder)!r})\n"
    return f"{found}from {module} import {factory}\n\nmodel = {as_code(factory, **arguments)}\n"


FACTORY = Source(
    name="factory",
    form="path/to/file.py:factory or package.module:factory",
    prefix=None,
    find=_find,
)
