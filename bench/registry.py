"""Registries: named entries of one kind, from the modules of a package and from plugins.

A plugin is a module that is named in ``GOOGLENET_BENCH_PLUGINS`` (comma-separated), or by an entry
point of the group ``googlenet_bench``. Each entry at the top level of a module is found; nothing
else has to be done to register it.
"""

import importlib
import os
import pkgutil
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import cached_property
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Generic, Protocol, TypeVar

from bench.error_text import one_line
from bench.errors import RequestError
from bench.names import choose

VARIABLE = "GOOGLENET_BENCH_PLUGINS"
GROUP = "googlenet_bench"
SEPARATORS = frozenset("+,:")
"""Characters that separate names in options, and so cannot be in a name."""


class Named(Protocol):
    """An entry that is selected by its name."""

    @property
    def name(self) -> str:
        """The name, unique in its registry."""
        ...


Entry = TypeVar("Entry", bound=Named)


class Registry(Mapping[str, Entry], Generic[Entry]):
    """All instances of a class in a package's modules and in the plugins, by name.

    The modules are imported at the first look-up. Raises ``RequestError`` if two entries have the
    same name or a name contains a separator. Plugins that cannot be imported are left out: the
    worker of a gate's base may lack a plugin that its cells do not use (see ``check_plugins``).
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
        for module in (*_modules(self._package), *_plugins()):
            for entry in vars(module).values():
                if not isinstance(entry, self._kind):
                    continue
                if SEPARATORS.intersection(entry.name):
                    raise RequestError(
                        f"{entry.name!r} in {module.__name__} cannot be a name: it contains one "
                        f"of {' '.join(sorted(SEPARATORS))}"
                    )
                if entries.setdefault(entry.name, entry) is not entry:
                    raise RequestError(
                        f"two entries of {self._package} are called {entry.name!r}, the second in "
                        f"{module.__name__}: rename one"
                    )
        return entries


def choose_registered(what: str, name: str, table: Mapping[str, Entry]) -> Entry:
    """Return the entry called ``name``. Raises ``RequestError`` if there is none.

    The message says so if a plugin that might have it cannot be imported.
    """
    if name not in table:
        check_plugins()
    return choose(what, name, table)


def check_plugins() -> None:
    """Raise ``RequestError`` if a plugin cannot be imported."""
    for name, origin in _plugin_names().items():
        try:
            importlib.import_module(name)
        except Exception as error:
            raise RequestError(
                f"the plugin {name} of {origin} cannot be imported: {one_line(error)}; install "
                "what it needs, or remove it there"
            ) from error


def plugin_files() -> tuple[Path, ...]:
    """Return the source files of the plugins that can be imported."""
    return tuple(Path(module.__file__) for module in _plugins() if module.__file__)


def _plugin_names() -> dict[str, str]:
    """Return the module names of the plugins, each with where it is named."""
    listed = os.environ.get(VARIABLE, "").split(",")
    names = {name.strip(): VARIABLE for name in listed if name.strip()}
    for point in entry_points(group=GROUP):
        names.setdefault(point.module, f"the entry point {point.name}")
    return names


def _plugins() -> Iterator[ModuleType]:
    for name in _plugin_names():
        with suppress(Exception):  # check_plugins reports it
            yield importlib.import_module(name)


def _modules(package: str) -> Iterator[ModuleType]:
    for module in pkgutil.iter_modules(importlib.import_module(package).__path__):
        yield importlib.import_module(f"{package}.{module.name}")
