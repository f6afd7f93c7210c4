"""The two sides of a gate, without starting workers."""

import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import pytest

from bench.archs import source_file
from bench.errors import RequestError
from bench.gate import checkouts, tree
from bench.gate.checkouts import Side
from bench.worker import origin
from tests.bench.suite.user_repository import git


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with two commits; a folder below it has a file with the content 1 and then 2."""
    root = tmp_path / "repository"
    (root / "below").mkdir(parents=True)
    git(root, "init", "--quiet")
    for number in ("1", "2"):
        (root / "below" / "file").write_text(number)
        git(root, "add", ".")
        git(root, "commit", "--quiet", "--message", number)
    return root


@pytest.fixture
def other_python(tmp_path: Path) -> Path:
    """An executable file, as the interpreter of a virtual environment is: a link."""
    link = tmp_path / "python"
    link.symlink_to("/bin/true")
    return link


def test_a_revision_is_the_base_in_a_checkout_of_its_own(repository: Path) -> None:
    folder = repository / "below"
    with checkouts.check_out(folder, base="HEAD~1", base_python=None) as (head, base):
        assert head.tree.root == repository
        assert (base.tree.root / "below" / "file").read_text() == "1"
        assert head.python == base.python == sys.executable
        assert head.name == git(repository, "rev-parse", "HEAD")[:12]
        assert base.name == git(repository, "rev-parse", "HEAD~1")[:12]
    assert not base.tree.root.exists()


def test_an_interpreter_alone_is_a_base_with_head_s_code(
    repository: Path, other_python: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(other_python.parent)
    (repository / "below" / "file").write_text("3")
    with checkouts.check_out(repository, base=None, base_python="python") as (head, base):
        assert base.tree == head.tree
        assert base.python == str(other_python)  # not what the link leads to
        assert base.name == f"{head.name}, {other_python}"
        assert head.name.endswith(" with uncommitted changes")


def test_what_exists_passes_the_check(repository: Path, other_python: Path) -> None:
    checkouts.check(repository, base="HEAD~1", base_python=str(other_python))
    checkouts.check(repository, base=None, base_python=None)


@pytest.mark.parametrize(
    ("base", "python", "message"),
    [
        ("HEAD~2", None, "git does not know revision 'HEAD~2'"),
        (None, "/nowhere", "--base-python /nowhere is not an interpreter"),
        (None, "below/file", "--base-python below/file is not an interpreter"),  # not executable
        (None, "below", "--base-python below is not an interpreter"),
    ],
)
def test_what_does_not_exist_is_refused_before_and_when_it_is_checked_out(
    repository: Path,
    monkeypatch: pytest.MonkeyPatch,
    base: str | None,
    python: str | None,
    message: str,
) -> None:
    monkeypatch.chdir(repository)
    with pytest.raises(RequestError, match=message):
        checkouts.check(repository, base=base, base_python=python)
    sides = checkouts.check_out(repository, base=base, base_python=python)
    with pytest.raises(RequestError, match=message), sides:
        pass


def started(
    monkeypatch: pytest.MonkeyPatch, sides: Sequence[Side]
) -> list[tuple[Mapping[str, str], Mapping[str, Any]]]:
    """Return the variables and the options that the launcher of each side is started with."""
    given: list[tuple[Mapping[str, str], Mapping[str, Any]]] = []

    def launcher(
        variables: Mapping[str, str], *_: object, **options: object
    ) -> AbstractContextManager[None]:
        given.append((variables, options))
        return nullcontext()

    monkeypatch.setattr(checkouts, "launcher", launcher)
    with checkouts.launchers(sides, {"A": "1"}, [], None, Path("below")) as launchers:
        assert len(launchers) == len(sides)
    return given


def test_each_side_imports_from_its_own_tree_and_never_from_the_other(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    git(repository, "mv", "below", "src")  # head has a src layout, and the base a flat one
    with checkouts.check_out(repository, base="HEAD", base_python=None) as sides:
        head, base = (side.tree.root for side in sides)
        (of_head, head_options), (of_base, base_options) = started(monkeypatch, sides)
    assert head_options["roots"] == (head, head / "src")
    assert base_options["roots"] == (base,)
    assert (of_head[origin.VARIABLE], of_base[origin.VARIABLE]) == (str(base), str(head))
    for variables in (of_head, of_base):
        assert variables["A"] == variables["PYTHONSAFEPATH"] == "1"
    files = (head / "below", head, head / "src")
    assert of_head[source_file.VARIABLE] == os.pathsep.join(map(str, files))
    assert of_base[source_file.VARIABLE] == os.pathsep.join(map(str, (base / "below", base)))


def test_two_interpreters_of_one_tree_may_import_from_it(
    repository: Path, other_python: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = tree.here(repository)
    sides = [Side(tree=head, python=sys.executable), Side(tree=head, python=str(other_python))]
    for (variables, options), side in zip(started(monkeypatch, sides), sides, strict=True):
        assert origin.VARIABLE not in variables
        assert options["python"] == side.python
