"""Source trees: the one that stands here, and another revision's, for as long as it is needed.

The other is a git worktree in a temporary folder. It is removed whatever happens; one whose owner
was killed outright is removed by the next.
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

from bench.gate import git
from bench.names import RequestError

PREFIX = "googlenet-bench-base-"  # the owner's process id follows


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """A source tree, and what it is of."""

    root: Path
    commit: str
    dirty: bool = False
    """Whether there are uncommitted changes in it."""
    digest: str = ""
    """Of the commit and the uncommitted changes: another one is another tree."""

    @property
    def name(self) -> str:
        """What a reader knows it by."""
        return self.commit[:12] + (" with uncommitted changes" if self.dirty else "")


def here(folder: Path) -> Tree:
    """The tree that ``folder`` stands in, uncommitted changes and all.

    Raises ``RequestError`` where that is no git checkout with a commit in it.
    """
    root = git.top(folder)
    commit = git.text(root, "rev-parse", "--verify", "HEAD^{commit}")
    return Tree(
        root=root,
        commit=commit,
        dirty=bool(git.text(root, "status", "--porcelain")),
        digest=_digest(root, commit),
    )


def _digest(root: Path, commit: str) -> str:
    """Of a commit, what was changed since, and the modules that git does not know yet.

    Not of all that git does not know: reports appear there, and what importing leaves behind.
    """
    digest = hashlib.sha256(commit.encode())
    digest.update(git.output(root, "diff", "--binary", "HEAD"))
    unknown = git.output(root, "ls-files", "--others", "--exclude-standard", "-z", "--", "*.py")
    for name in filter(None, unknown.split(b"\0")):
        digest.update(name)
        with contextlib.suppress(OSError):  # a link to nothing, say: no interpreter reads it either
            digest.update(hashlib.sha256((root / os.fsdecode(name)).read_bytes()).digest())
    return digest.hexdigest()


@contextmanager
def checkout(revision: str, root: Path) -> Iterator[Tree]:
    """The tree of a revision of the repository at ``root``, gone afterwards.

    Raises ``RequestError`` where git knows no such revision.
    """
    try:
        commit = git.text(
            root, "rev-parse", "--verify", "--end-of-options", f"{revision}^{{commit}}"
        )
    except RequestError as error:
        raise RequestError(
            f"git knows no revision {revision!r} here: {error}; in a shallow clone, fetch it first"
        ) from error
    _remove_abandoned(root)
    folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-"))
    try:
        # Without the user's hooks, which may take minutes to set a checkout up.
        quiet = ("-c", f"core.hooksPath={os.devnull}")
        git.text(root, *quiet, "worktree", "add", "--detach", "--force", str(folder), commit)
        yield Tree(root=folder, commit=commit)
    finally:
        _remove(root, folder)


def _remove_abandoned(root: Path) -> None:
    """Remove the worktrees of processes that are gone."""
    for line in git.text(root, "worktree", "list", "--porcelain").splitlines():
        folder = Path(line.removeprefix("worktree "))
        owner = folder.name.removeprefix(PREFIX).partition("-")[0]
        is_ours = line.startswith("worktree ") and folder.name.startswith(PREFIX)
        if is_ours and owner.isdecimal() and not psutil.pid_exists(int(owner)):
            _remove(root, folder)


def _remove(root: Path, folder: Path) -> None:
    with contextlib.suppress(RequestError):  # it was never added, or is half gone
        git.text(root, "worktree", "remove", "--force", str(folder))
    if folder.exists():
        shutil.rmtree(folder, ignore_errors=True)
        git.text(root, "worktree", "prune")
