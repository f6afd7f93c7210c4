"""Source trees: the current checkout, and a temporary checkout of another revision.

The temporary checkout is a git worktree in a temporary folder. It is always removed afterwards; if
its owner is killed with SIGKILL, the next call of ``checkout`` removes it.
"""

import contextlib
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from bench import git
from bench.errors import RequestError
from bench.names import hint

PREFIX = "googlenet-bench-base-"  # the owner's process id follows


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """A source tree and its revision."""

    root: Path
    commit: str
    dirty: bool = False
    """Whether files that git tracks are changed, or there are untracked Python modules."""
    digest: str = ""
    """Hash of the commit and the uncommitted changes; it differs for different trees."""

    @property
    def name(self) -> str:
        """Display name: the short commit, and whether there are uncommitted changes."""
        return self.commit[:12] + (" with uncommitted changes" if self.dirty else "")


def here(folder: Path) -> Tree:
    """Return the tree that contains ``folder``, including uncommitted changes.

    Raises ``RequestError`` if it is not a git checkout with at least one commit.
    """
    try:
        root = git.top(folder)
    except git.NoRepositoryError as error:
        raise RequestError(
            f"{error}, and a gate, also with --base-python, judges the code of a repository: run "
            "it in the clone of your project; `googlenet-bench run` measures in any folder"
        ) from error
    commit = git.text(root, "rev-parse", "--verify", "HEAD^{commit}")
    return Tree(
        root=root,
        commit=commit,
        dirty=_is_changed(root),
        digest=_digest(root, commit),
    )


def _is_changed(root: Path) -> bool:
    """Whether anything differs from the commit that counts for the digest."""
    tracked = git.text(root, "status", "--porcelain", "--untracked-files=no")
    return bool(tracked or _untracked(root))


def _untracked(root: Path) -> tuple[bytes, ...]:
    """Return the names of the untracked Python modules."""
    listed = git.output(root, "ls-files", "--others", "--exclude-standard", "-z", "--", "*.py")
    return tuple(filter(None, listed.split(b"\0")))


def _digest(root: Path, commit: str) -> str:
    """Return the hash of a commit, the changes since, and untracked Python modules.

    Other untracked files do not count, because reports and the results of imports are among them.
    """
    digest = hashlib.sha256(commit.encode())
    digest.update(git.output(root, "diff", "--binary", "HEAD"))
    for name in _untracked(root):
        digest.update(name)
        with contextlib.suppress(OSError):  # e.g. a broken link, which no interpreter reads either
            digest.update(hashlib.sha256((root / os.fsdecode(name)).read_bytes()).digest())
    return digest.hexdigest()


def commit_of(revision: str, root: Path) -> str:
    """Return the id of a revision's commit in the repository at ``root``.

    Raises ``RequestError``, with the nearest branch or tag, if git does not know the revision.
    """
    try:
        return git.text(root, "rev-parse", "--verify", "--end-of-options", f"{revision}^{{commit}}")
    except RequestError as error:
        named = git.text(root, "for-each-ref", "--format=%(refname:short)").splitlines()
        nearest = hint(revision, dict(zip(named, named, strict=True)))
        raise RequestError(
            f"git does not know revision {revision!r}; {nearest or 'name a branch, tag or commit'}"
            f"{'' if nearest else ';'} in a shallow clone, fetch it first"
        ) from error


@contextmanager
def checkout(revision: str, root: Path) -> Iterator[Tree]:
    """Check out a revision of the repository at ``root``; remove the checkout afterwards.

    Raises ``RequestError`` if git does not know the revision.
    """
    commit = commit_of(revision, root)
    _remove_abandoned(root)
    folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-"))
    try:
        # Without the user's hooks, which may take minutes for a new checkout.
        no_hooks = ("-c", f"core.hooksPath={os.devnull}")
        git.text(root, *no_hooks, "worktree", "add", "--detach", "--force", str(folder), commit)
        yield Tree(root=folder, commit=commit)
    finally:
        _remove(root, folder)


def _remove_abandoned(root: Path) -> None:
    """Remove the worktrees of processes that no longer exist."""
    for line in git.text(root, "worktree", "list", "--porcelain").splitlines():
        folder = Path(line.removeprefix("worktree "))
        owner = folder.name.removeprefix(PREFIX).partition("-")[0]
        is_ours = line.startswith("worktree ") and folder.name.startswith(PREFIX)
        if is_ours and owner.isdecimal() and not psutil.pid_exists(int(owner)):
            _remove(root, folder)


def _remove(root: Path, folder: Path) -> None:
    with contextlib.suppress(RequestError):  # it was never added, or is partly removed
        git.text(root, "worktree", "remove", "--force", str(folder))
    if folder.exists():
        shutil.rmtree(folder, ignore_errors=True)
        git.text(root, "worktree", "prune")
