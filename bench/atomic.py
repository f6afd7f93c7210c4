"""Atomic writes: a file is written completely or not at all, and so are files that go together."""

import contextlib
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path


def write_text(path: Path, text: str) -> None:
    """Write ``text`` to ``path`` atomically, through a temporary file in the same folder."""
    write_files(path.parent, {path.name: text})


def write_files(folder: Path, contents: Mapping[str, str]) -> tuple[Path, ...]:
    """Write the files of a folder, by their path in it, and return their paths.

    If one of them cannot be written, because the disk is full for example, the folder keeps the
    earlier files, or is removed if there was none. Raises ``OSError``.
    """
    new_folders: list[Path] = []
    temporary: dict[Path, Path] = {}
    try:
        for name, text in contents.items():
            path = folder / name
            _make_folder(path.parent, new_folders)
            temporary[path] = _made(path)
            _write(temporary[path], text)
        for path, written in [*temporary.items()]:
            written.replace(path)
            del temporary[path]
    except BaseException:
        for each in temporary.values():
            each.unlink(missing_ok=True)
        for each in reversed(new_folders):
            with contextlib.suppress(OSError):  # it is not empty
                each.rmdir()
        raise
    return tuple(folder / name for name in contents)


def _make_folder(folder: Path, new: list[Path]) -> None:
    """Make a folder and its parents if they are missing, and add to ``new`` those that were."""
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    for each in reversed(missing):
        each.mkdir(exist_ok=True)
        new.append(each)


def _made(path: Path) -> Path:
    """Return a new, empty file beside ``path``."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(descriptor)
    return Path(temporary)


def _write(path: Path, text: str) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    path.chmod(0o644)
