"""Registries: named things of one kind, one module each in a package, and those of plugins.

A plugin is a module that is named in ``GOOGLENET_BENCH_PLUGINS`` (comma-separated), or an entry
point of the group ``googlenet_bench``. What it defines is registered as what a package's own
modules define is: by being there.
"""

import importlib
import os
import pkgutil
from collections.abc import Iterator, Mapping
from functools import cached_property
from importlib.metadata import entry_points
from types import ModuleType
from typing import Generic, Protocol, TypeVar

from bench.errors import one_line
from bench.names import RequestError

VARIABLE = "GOOGLENET_BENCH_PLUGINS"
GROUP = "googlenet_bench"


class Named(Protocol):
    """Something that is chosen by its name."""

    @property
    def name(self) -> str:
        """The name, unique in its registry."""
        ...


Entry = TypeVar("Entry", bound=Named)


class Registry(Mapping[str, Entry], Generic[Entry]):
    """Every instance of one class that a package's modules and the plugins define, by its name.

    Modules are imported at the first look-up, so that naming a registry costs nothing. Raises
    ``RequestError`` when a plugin cannot be imported, or when two entries have one name.
    """

    def __init__(self, kind: type[Entry], package: str) -> None:
        """``kind``: the class of the entries; ``package``: dotted name of the package."""
        self._kind = kind
        self._package = package

    def __getitem__(self, name: str) -> Entry:
        return self._entries[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    @cached_property
    def _entries(self) -> dict[str, Entry]:
        entries: dict[str, Entry] = {}
        for module in (*_modules(self._package), *plugins()):
            for entry in vars(module).values():
                if not isinstance(entry, self._kind):
                    continue
                known = entries.setdefault(entry.name, entry)
                if known is not entry:
                    raise RequestError(
                        f"two entries of {self._package} are called {entry.name!r}, the second in "
                        f"{module.__name__}: rename one"
                    )
        return entries


def plugins() -> tuple[ModuleType, ...]:
    """The plugins' modules; raises ``RequestError`` for one that cannot be imported."""
    names = [name.strip() for name in os.environ.get(VARIABLE, "").split(",") if name.strip()]
    names += [point.module for point in entry_points(group=GROUP)]
    return tuple(map(_plugin, dict.fromkeys(names)))


def _plugin(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except Exception as error:
        raise RequestError(
            f"the plugin {name} cannot be imported: {one_line(error)}; install it, or take it out "
            f"of {VARIABLE}"
        ) from error


def _modules(package: str) -> Iterator[ModuleType]:
    for found in pkgutil.iter_modules(importlib.import_module(package).__path__):
        yield importlib.import_module(f"{package}.{found.name}")
