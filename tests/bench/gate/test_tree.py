import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bench.errors import RequestError
from bench.gate import tree
from tests.bench.suite.user_repository import git


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with two commits; a file has the content 1 and then 2."""
    root = tmp_path / "repository"
    root.mkdir()
    git(root, "init", "--quiet")
    for number in ("1", "2"):
        (root / "file").write_text(number)
        git(root, "add", "file")
        git(root, "commit", "--quiet", "--message", number)
    return root


def worktrees(repository: Path) -> int:
    """Return the number of worktrees."""
    return git(repository, "worktree", "list").count("\n") + 1


def test_a_revision_is_checked_out_and_removed_afterwards(repository: Path) -> None:
    with tree.checkout("HEAD~1", repository) as base:
        assert (base.root / "file").read_text() == "1"
        assert base.commit == git(repository, "rev-parse", "HEAD~1")
        assert not base.dirty
        assert worktrees(repository) == 2
        assert (repository / "file").read_text() == "2"
    assert not base.root.exists()
    assert worktrees(repository) == 1


def interrupted_build(folder: Path) -> None:
    (folder / "output").write_text("of a build")
    raise KeyboardInterrupt


def test_the_checkout_is_removed_after_an_interrupt(repository: Path) -> None:
    with pytest.raises(KeyboardInterrupt), tree.checkout("HEAD", repository) as base:
        interrupted_build(base.root)
    assert not base.root.exists()
    assert worktrees(repository) == 1


OWNER = """
import sys, time
from pathlib import Path
from bench.gate import tree
with tree.checkout("HEAD", Path(sys.argv[1])) as base:
    print(base.root, flush=True)
    time.sleep(600)
"""


def test_the_checkout_of_a_killed_owner_is_removed_by_the_next_call(repository: Path) -> None:
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(repository)], stdout=subprocess.PIPE, text=True
    )
    assert owner.stdout is not None
    abandoned = Path(owner.stdout.readline().strip())
    assert (abandoned / "file").exists()
    with tree.checkout("HEAD", repository):  # it is kept while its owner lives
        assert (abandoned / "file").exists()
    os.kill(owner.pid, signal.SIGKILL)
    owner.wait()
    owner.stdout.close()
    with tree.checkout("HEAD", repository):
        assert not abandoned.exists()
    assert worktrees(repository) == 1


def test_an_unknown_revision_is_refused_with_the_nearest_branch(repository: Path) -> None:
    git(repository, "branch", "stable")
    with pytest.raises(RequestError, match=r"revision 'stabel'; did you mean 'stable'\? in a sh"):
        tree.commit_of("stabel", repository)
    assert tree.commit_of("stable", repository) == git(repository, "rev-parse", "HEAD")


@pytest.mark.parametrize("revision", ["nonsense", "--help", "HEAD~5", ""])
def test_an_unknown_revision_is_refused(repository: Path, revision: str) -> None:
    with (
        pytest.raises(RequestError, match=r"git does not know revision"),
        tree.checkout(revision, repository),
    ):
        pass
    assert worktrees(repository) == 1


def test_the_tree_of_the_current_checkout(repository: Path) -> None:
    (repository / "folder").mkdir()
    clean = tree.here(repository / "folder")
    assert clean.root == repository.resolve()
    assert clean.commit == git(repository, "rev-parse", "HEAD")
    assert clean.name == clean.commit[:12]
    (repository / "file").write_text("3")
    assert tree.here(repository).name == f"{clean.commit[:12]} with uncommitted changes"


@pytest.mark.parametrize("name", ["file", "new.py", "fôlder/new.py"])
def test_a_changed_or_new_module_changes_the_digest(repository: Path, name: str) -> None:
    """The file may be tracked or untracked, in any encoding."""
    path = repository / name
    path.parent.mkdir(exist_ok=True)
    clean = tree.here(repository)
    assert tree.here(repository) == clean
    digests = {clean.digest}
    for content in ("a = 'à'", "a = 'é'"):
        path.write_text(content, encoding="latin-1")
        digests.add(tree.here(repository).digest)
    assert len(digests) == 3
    git(repository, "stash", "--include-untracked")
    assert tree.here(repository) == clean


def test_a_staged_change_changes_the_digest(repository: Path) -> None:
    clean = tree.here(repository)
    (repository / "file").write_text("3")
    git(repository, "add", "file")
    staged = tree.here(repository)
    assert staged.dirty
    assert staged.digest != clean.digest


def test_a_module_of_another_name_has_another_digest(repository: Path) -> None:
    (repository / "new.py").write_text("a = 1")
    before = tree.here(repository).digest
    (repository / "new.py").rename(repository / "renamed.py")
    assert tree.here(repository).digest != before


def test_another_commit_has_another_digest(repository: Path) -> None:
    before = tree.here(repository).digest
    git(repository, "checkout", "--quiet", "HEAD~1")
    assert tree.here(repository).digest != before


def test_files_that_a_measurement_creates_do_not_change_the_digest(repository: Path) -> None:
    (repository / "link.py").symlink_to("nothing")
    (repository / ".gitignore").write_text("ignored.py")
    before = tree.here(repository).digest
    for name in ("reports/cpu/gate/gate.md", "__pycache__/net.pyc", "ignored.py"):
        (repository / name).parent.mkdir(parents=True, exist_ok=True)
        (repository / name).write_text("new")
    assert tree.here(repository).digest == before


def test_a_folder_outside_a_repository_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"is not in a git repository.*: run it in the clone"):
        tree.here(tmp_path)


def test_a_machine_without_git_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RequestError, match="git is not installed"):
        tree.here(tmp_path)


def test_reports_that_are_not_tracked_do_not_change_the_tree(repository: Path) -> None:
    clean = tree.here(repository)
    assert not clean.dirty
    (repository / "reports").mkdir()
    (repository / "reports" / "run.json").write_text("{}")
    assert tree.here(repository) == clean
    (repository / "module.py").write_text("")  # which an interpreter may read
    changed = tree.here(repository)
    assert changed.dirty
    assert changed.digest != clean.digest
