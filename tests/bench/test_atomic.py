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


def test_files_that_go_together_are_written_together(tmp_path: Path) -> None:
    folder = tmp_path / "reports" / "machine"
    contents = {"a.md": "a", "charts/b.svg": "b"}
    assert atomic.write_files(folder, contents) == (folder / "a.md", folder / "charts" / "b.svg")
    assert {name: (folder / name).read_text() for name in contents} == contents
    assert len([*folder.rglob("*")]) == 3


@pytest.mark.parametrize("failing", [1, 2, 3])
def test_a_full_disk_leaves_no_half_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: int
) -> None:
    contents = {"a.md": "new", "charts/b.svg": "new", "c.csv": "new"}
    written: list[int] = []

    def fsync(descriptor: int) -> None:
        written.append(descriptor)
        if len(written) == failing:
            fail()

    monkeypatch.setattr(os, "fsync", fsync)
    folder = tmp_path / "reports" / "machine"
    with pytest.raises(OSError, match="No space left"):
        atomic.write_files(folder, contents)
    assert list(tmp_path.iterdir()) == []
    folder.mkdir(parents=True)
    (folder / "a.md").write_text("old")
    written.clear()
    with pytest.raises(OSError, match="No space left"):
        atomic.write_files(folder, contents)
    assert [file.read_text() for file in folder.rglob("*")] == ["old"]
