from pathlib import Path

import pytest

from bench.errors import RequestError
from bench.folders import check_writable


def test_an_existing_folder_is_left_unchanged(tmp_path: Path) -> None:
    (tmp_path / "report.md").write_text("old", encoding="utf-8")
    check_writable(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["report.md"]
    assert (tmp_path / "report.md").read_text(encoding="utf-8") == "old"


def test_a_missing_folder_is_not_created(tmp_path: Path) -> None:
    check_writable(tmp_path / "reports" / "machine")
    assert not list(tmp_path.iterdir())


def test_a_relative_folder_is_resolved_against_the_current_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    check_writable(Path("reports"))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("below", [".", "machine"])
def test_a_file_in_place_of_a_folder_is_refused(tmp_path: Path, below: str) -> None:
    file = tmp_path / "reports"
    file.write_text("old", encoding="utf-8")
    with pytest.raises(RequestError, match=r"cannot write to .*reports.*: Not a directory"):
        check_writable(file / below)
    assert file.read_text(encoding="utf-8") == "old"
