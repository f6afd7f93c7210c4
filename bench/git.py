"""Git commands for the checkout that contains a folder."""

import os
import re
import subprocess
from pathlib import Path

from bench.errors import RequestError

_ID = re.compile("[0-9a-f]{7,64}")


class NoRepositoryError(RequestError):
    """Raised if a folder is not in a git repository."""


def output(folder: Path, *arguments: str) -> bytes:
    """Return git's output as bytes; raise ``RequestError`` with git's reason if it fails."""
    try:
        process = subprocess.run(
            ["git", "-C", str(folder), *arguments],  # noqa: S607 - found on the user's PATH
            capture_output=True,
            check=True,
            env={**os.environ, "LANGUAGE": "en"},  # the messages are read below
        )
    except FileNotFoundError as error:
        raise RequestError(
            "git is not installed; the gate needs it to compare revisions"
        ) from error
    except ValueError as error:  # a null character, or one that the system cannot encode
        raise RequestError(f"git cannot be asked: {error}") from error
    except subprocess.CalledProcessError as error:
        lines = error.stderr.decode(errors="replace").strip().splitlines()
        last = next(iter(lines[-1:]), f"exit status {error.returncode}")
        if "not a git repository" in last:
            raise NoRepositoryError(f"{folder} is not in a git repository") from error
        raise RequestError(f"git: {last}") from error
    return process.stdout


def text(folder: Path, *arguments: str) -> str:
    """Return git's output, decoded like a file name; raise the same errors as ``output``."""
    return os.fsdecode(output(folder, *arguments)).strip()


def commits_between(folder: Path, before: str, after: str) -> tuple[str, ...]:
    """Return the commits that ``after`` has and ``before`` has not, the most recent first.

    Each is a line with its date, its short id and its subject. Returns nothing if the repository of
    the folder has not both.
    """
    if not (_ID.fullmatch(before) and _ID.fullmatch(after)):  # git would read it as an option
        return ()
    try:
        lines = text(
            folder, "log", "--date=short", "--format=%ad %h %s", f"{before}..{after}", "--"
        )
    except RequestError:
        return ()
    return tuple(lines.splitlines())


def top(folder: Path) -> Path:
    """Return the top folder of the git checkout that contains ``folder``.

    Raises ``RequestError`` if ``folder`` is not in a checkout.
    """
    return Path(text(folder, "rev-parse", "--show-toplevel"))
