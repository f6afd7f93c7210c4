"""Where networks come from: one module for each source.

A source is a ``Source`` at the top level of a module here, or of a plugin (bench/registry.py).
Looking a name up imports no torch; building its network does.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial

from bench import optional
from bench.archs import arguments
from bench.archs.source import RGB, Arch, Shape, Source
from bench.errors import RequestError
from bench.names import matches, unknown
from bench.registry import Registry

SOURCES = Registry(Source, __name__)
"""Every source, by name."""


WILDCARD = "*"
HOW_TO_NAME = (
    "registered names (googlenet-bench archs), torchvision:NAME, timm:NAME, module:factory, "
    "path/to/file.py:factory; * for any text, NAME?width=2 for arguments, NAME@PIXELS or "
    "NAME@1x28x28 for images of this shape"
)
"""Help text of options that take archs."""


def find(name: str) -> Arch:
    """Return the arch called ``name``; raise ``RequestError`` if no source has it.

    ``NAME?KEY=VALUE&KEY=VALUE`` builds NAME with these arguments. ``NAME@PIXELS`` is NAME on images
    of this height and width, and ``NAME@CxHxW`` on images of this shape, such as ``1x28x28``. A
    name may have both, in this order.
    """
    if not name.isprintable():
        raise RequestError(
            f"{name!r} is not an arch: its name has a character that cannot be shown; rename the "
            "file, the function or the argument"
        )
    plain, shape = _split_shape(name)
    if shape is None:
        return _with_arguments(name)
    if min(shape) < 1:
        raise RequestError(f"{name!r} asks for images of 0 pixels; the least is 1")
    return replace(_with_arguments(plain), name=name, requested_shape=shape)


def expand(names: Iterable[str]) -> tuple[str, ...]:
    """Return names with patterns replaced by what they match.

    In a pattern, such as ``torchvision:resnet*``, an asterisk stands for any text. Arguments and a
    shape after it are those of every match. Raises ``RequestError`` for a pattern without a match.
    """
    return tuple(name for each in names for name in _matches(each))


def _split_shape(name: str) -> tuple[str, Shape | None]:
    """Return a name without the shape at its end, and the shape; None if it has none.

    Raises ``RequestError`` if what follows the last ``@`` is not a shape.
    """
    plain, _, text = name.rpartition("@")
    if plain and (size := re.fullmatch("[0-9]{1,5}", text)):
        return plain, (RGB, int(size[0]), int(size[0]))
    if plain and (shape := re.fullmatch("([0-9]{1,5})x([0-9]{1,5})x([0-9]{1,5})", text)):
        channels, height, width = map(int, shape.groups())
        return plain, (channels, height, width)
    # Those characters are of a file's path or of an argument.
    if plain and not re.search("""[:/='"]""", text):
        raise RequestError(
            f"{name!r} is not an arch: {text!r} is not a shape of images: expected a height and "
            f"width in pixels ({plain}@192), or channels, height and width ({plain}@1x28x28)"
        )
    return name, None


def _matches(name: str) -> Iterator[str]:
    pattern = re.split("[?@]", name)[0]
    rest = name.removeprefix(pattern)
    if WILDCARD not in pattern:
        yield name
        return
    prefix, separator, inner = pattern.rpartition(":")
    source = _source(prefix) if _has(prefix) else None
    known = source.names() if source else ()
    found = [each for each in known if matches(inner, each)]
    if not found:
        lacking = optional.missing(f"{name!r}", source.requires, source.extra) if source else ""
        why = f"none of the {len(known):,} names matches" if known else "there is no list of names"
        raise RequestError(lacking or f"no arch matches {name!r}: {why}")
    yield from (f"{prefix}{separator}{each}{rest}" for each in found)


def _with_arguments(name: str) -> Arch:
    plain, given = arguments.split(name)
    arch = _find(plain)
    if not given:
        return arch
    # What is published holds for the network without arguments.
    lines = None if arch.lines is None else partial(arch.lines, **given)
    build = partial(arch.build, **given)
    return replace(arch, name=name, build=build, lines=lines, accuracy=lambda: None)


def _find(name: str) -> Arch:
    prefix, separator, rest = name.partition(":")
    if not separator:
        source = _source("")
        if name not in source.names():
            if "/" in name or "." in name:  # a file or a module
                raise RequestError(f"{name!r} is not an arch: name a function of it, {name}:NAME")
            raise unknown("arch", name, source.names(), _elsewhere())
        return source.find(name)
    if not prefix or not rest:
        raise RequestError(f"{name!r} is not an arch: expected {_forms()}")
    return _source(prefix).find(rest if _has(prefix) else name)


def registered() -> tuple[Arch, ...]:
    """Every arch of GoogLeNet's registry, in the order of its table."""
    source = _source("")
    return tuple(map(source.find, source.names()))


def _forms() -> str:
    sources = sorted(SOURCES.values(), key=lambda source: (source.prefix is None, source.prefix))
    *first, last = [source.form for source in sources]
    return f"{', '.join(first)}, or {last}"


def _elsewhere() -> Mapping[str, str]:
    """Return the names in sources with a prefix, each with the prefix."""
    in_full = {}
    for source in filter(lambda source: source.prefix, SOURCES.values()):
        with suppress(Exception):  # a source that cannot list its names gives no hint
            in_full.update({name: f"{source.prefix}:{name}" for name in source.names()})
    return in_full


def _has(prefix: str) -> bool:
    return any(source.prefix == prefix for source in SOURCES.values())


def _source(prefix: str) -> Source:
    """Return the source with this prefix, or else the one that takes every other prefix."""
    by_prefix: dict[str | None, Source] = {}
    for source in SOURCES.values():
        if by_prefix.setdefault(source.prefix, source) is not source:
            raise RequestError(
                f"the sources {by_prefix[source.prefix].name} and {source.name} have the same "
                f"prefix, {source.prefix!r}: change one"
            )
    return by_prefix.get(prefix) or by_prefix[None]
