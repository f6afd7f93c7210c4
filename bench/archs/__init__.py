"""Where networks come from: one module for each source.

A source is a ``Source`` at the top level of a module here, or of a plugin (bench/registry.py).
Looking a name up imports no torch; building its network does.
"""

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace

from bench.archs.source import Arch, Source
from bench.names import RequestError, unknown
from bench.registry import Registry

SOURCES = Registry(Source, __name__)
"""Every source, by name."""


def find(name: str) -> Arch:
    """Return the arch called ``name``; raise ``RequestError`` if no source has it.

    ``NAME@PIXELS`` is the arch NAME on images of this height and width.
    """
    sized, _, pixels = name.rpartition("@")
    if not sized or not re.fullmatch("[0-9]{1,5}", pixels):
        return _find(name)
    if int(pixels) < 1:
        raise RequestError(f"{name!r} asks for images of {pixels} pixels; the least is 1")
    return replace(_find(sized), name=name, requested_size=int(pixels))


def _find(name: str) -> Arch:
    prefix, separator, rest = name.partition(":")
    if not separator:
        source = _source("")
        if name not in source.names():
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
