import os
from pathlib import Path

import pytest

from bench import atomic


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "report.md"


def fail(*_: object) -> None:
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("name", ["replace", "fsync"])
def test_a_failed_write_leaves_the_old_file_unchanged(
    path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    path.write_text("old", encoding="utf-8")
    monkeypatch.setattr(os, name, fail)
    with pytest.raises(OSError, match="No space left"):
        atomic.write_text(path, "new")
    assert path.read_text(encoding="utf-8") == "old"
    assert list(path.parent.iterdir()) == [path]


def test_a_second_write_replaces_the_first(path: Path) -> None:
    atomic.write_text(path, "old")
    atomic.write_text(path, "new")
    assert path.read_text(encoding="utf-8") == "new"
    assert list(path.parent.iterdir()) == [path]


def test_missing_parent_folders_are_created(tmp_path: Path) -> None:
    path = tmp_path / "reports" / "machine" / "report.md"
    atomic.write_text(path, "new")
    assert [file.name for file in path.parent.iterdir()] == ["report.md"]


def test_line_endings_are_not_translated(path: Path) -> None:
    atomic.write_text(path, "one\r\ntwo\n")
    assert path.read_bytes() == b"one\r\ntwo\n"
