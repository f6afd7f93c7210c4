import subprocess
from pathlib import Path

import pytest

from bench import pyproject
from bench.errors import RequestError


@pytest.mark.parametrize("text", [None, "", "[tool.other]\nx = 1", "[tool]\nx = 1"])
def test_a_table_that_is_not_there_is_empty(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / pyproject.FILE).write_text(text)
    assert pyproject.table(tmp_path, "gate") == {}


def test_a_table_is_read_by_its_name(tmp_path: Path) -> None:
    (tmp_path / pyproject.FILE).write_text('[tool.googlenet-bench.accuracy]\n"a:b" = 70')
    assert pyproject.table(tmp_path, "accuracy") == {"a:b": 70}
    assert pyproject.heading("accuracy") == "[tool.googlenet-bench.accuracy]"


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / pyproject.FILE).write_text("[tool")
    with pytest.raises(RequestError, match=r"cannot read .*pyproject\.toml"):
        pyproject.table(tmp_path, "gate")


def test_the_root_has_the_nearest_file_with_the_table(tmp_path: Path) -> None:
    """A file without the table, and one above the checkout, are not the project's."""
    top = tmp_path / "checkout"
    project, inside = top / "project", top / "project" / "a" / "b"
    inside.mkdir(parents=True)
    (tmp_path / pyproject.FILE).write_text("[tool.googlenet-bench]\nmodes = ['eager']")
    assert pyproject.root(inside) == inside  # no checkout
    subprocess.run(["git", "init", "--quiet"], cwd=top, check=True)  # noqa: S607
    assert pyproject.root(inside) == top
    (project / pyproject.FILE).write_text("[tool.googlenet-bench.accuracy]\nnet = 1")
    (inside / pyproject.FILE).write_text("[tool.other]\nx = 1")
    assert pyproject.root(inside) == project
    assert pyproject.root(top) == top
