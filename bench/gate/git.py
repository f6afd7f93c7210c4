"""Git: what it says of the checkout that a folder stands in."""

import os
import subprocess
from pathlib import Path

from bench.names import RequestError


def output(folder: Path, *arguments: str) -> bytes:
    """What git prints, undecoded; raises ``RequestError`` with its reason where it fails."""
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments],  # noqa: S607 - wherever the user has it
            capture_output=True,
            check=True,
        )
    except FileNotFoundError as error:
        raise RequestError("git is not installed, and the gate compares revisions") from error
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode(errors="replace").strip().splitlines()
        last = next(iter(said[-1:]), f"exit status {error.returncode}")
        raise RequestError(f"git: {last}") from error
    return done.stdout


def text(folder: Path, *arguments: str) -> str:
    """What git prints, names of files as Python takes them; raises as ``output`` does."""
    return os.fsdecode(output(folder, *arguments)).strip()


def top(folder: Path) -> Path:
    """Where the git checkout that ``folder`` stands in begins.

    Raises ``RequestError`` where it stands in none.
    """
    return Path(text(folder, "rev-parse", "--show-toplevel"))
