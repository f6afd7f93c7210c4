"""Registries of packages that the tests write."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bench import registry
from bench.errors import RequestError
from bench.registry import Registry

Packaged = Callable[..., "Registry[Kind]"]


class Kind:
    """An entry of the registries here."""

    def __init__(self, name: str) -> None:
        self.name = name


@pytest.fixture
def packaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Packaged]:
    """Return a function that writes modules of a package, and returns its registry."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delenv(registry.VARIABLE, raising=False)
    before = set(sys.modules)

    def write(**modules: str) -> Registry[Kind]:
        (tmp_path / "own_entries").mkdir()
        (tmp_path / "own_entries" / "__init__.py").touch()
        for name, names in modules.items():
            lines = [f"from {__name__} import Kind"]
            lines += [f"entry_{i} = Kind({each!r})" for i, each in enumerate(names.split())]
            (tmp_path / "own_entries" / f"{name}.py").write_text("\n".join(lines))
        return Registry(Kind, "own_entries")

    yield write
    for name in set(sys.modules) - before:
        if name.startswith("own_"):
            del sys.modules[name]


def test_entries_of_all_modules_are_found(packaged: Packaged) -> None:
    found = packaged(first="a b", second="c")
    assert sorted(found) == ["a", "b", "c"]
    assert len(found) == 3
    assert found["c"].name == "c"


@pytest.mark.parametrize("name", ["a,b", "a+b", "a:b"])
def test_a_name_with_a_separator_is_refused(packaged: Packaged, name: str) -> None:
    with pytest.raises(RequestError, match=r"in own_entries.first cannot be a name: it contains"):
        len(packaged(first=name))


def test_two_entries_of_one_name_are_refused(packaged: Packaged) -> None:
    with pytest.raises(RequestError, match=r"two entries .* called 'a', the second in own_ent"):
        len(packaged(first="a", second="a"))


def test_an_entry_that_another_module_imports_is_one_entry(
    packaged: Packaged, tmp_path: Path
) -> None:
    found = packaged(first="a", second="")
    (tmp_path / "own_entries" / "second.py").write_text("from own_entries.first import entry_0")
    assert list(found) == ["a"]


def test_a_plugin_adds_entries(
    packaged: Packaged, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = packaged(first="a")
    plugin = tmp_path / "own_plugin.py"
    plugin.write_text(f"from {__name__} import Kind\nentry = Kind('added')")
    monkeypatch.setenv(registry.VARIABLE, " own_plugin , ")
    assert sorted(found) == ["a", "added"]
    assert plugin in registry.plugin_files()


def test_a_plugin_that_cannot_be_imported_is_told_only_if_a_name_is_missing(
    packaged: Packaged, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = packaged(first="a")
    (tmp_path / "own_broken.py").write_text("raise OSError('no driver')")
    monkeypatch.setenv(registry.VARIABLE, "own_broken")
    assert registry.choose_registered("kind", "a", found).name == "a"
    with pytest.raises(RequestError) as raised:
        registry.choose_registered("kind", "b", found)
    assert str(raised.value) == (
        f"the plugin own_broken of {registry.VARIABLE} cannot be imported: OSError: no driver; "
        "install what it needs, or remove it there"
    )
    monkeypatch.delenv(registry.VARIABLE)
    with pytest.raises(RequestError, match="no kind is called 'b'"):
        registry.choose_registered("kind", "b", found)
