"""The user's pyproject.toml, and its tables below ``[tool.googlenet-bench]``."""

import tomllib
from pathlib import Path
from typing import Any

from bench import git
from bench.errors import RequestError

FILE = "pyproject.toml"
TOOL = ("tool", "googlenet-bench")


def table(folder: Path, *names: str) -> Any:
    """Return ``[tool.googlenet-bench]`` of a folder's file, or the table below it with these names.

    It is empty if the file does not exist or has no such table.

    Raises ``RequestError`` if the file cannot be read.
    """
    path = folder / FILE
    try:
        result: Any = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise RequestError(f"cannot read {path}: {error}") from error
    for key in (*TOOL, *names):
        result = result.get(key, {}) if isinstance(result, dict) else result
    return result


def root(folder: Path) -> Path:
    """Return the root of the project of a folder, whose file is read by all commands.

    It is the nearest folder whose file has ``[tool.googlenet-bench]``, from ``folder`` up to the
    top of its checkout, or else that top. Without a checkout it is ``folder``.

    Raises ``RequestError`` if a file on the way cannot be read.
    """
    try:
        top = git.top(folder)
    except RequestError:  # no checkout, or no git
        return folder
    for place in (folder.resolve(), *folder.resolve().parents):
        if place == top or table(place):
            return place
    return top


def heading(*names: str) -> str:
    """Return the name of a table as the file has it, for messages."""
    return f"[{'.'.join((*TOOL, *names))}]"
