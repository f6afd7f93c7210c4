"""The folder for files that are kept between runs."""

import functools
import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path


def cache_folder(base: Mapping[str, str]) -> Path:
    """Return the folder for files that are kept between runs, because creating them takes time.

    It is in the system's temporary folder if the user has no home, for example in a container that
    does not know the user.
    """
    return users_cache_folder(base) or _temporary_cache_folder()


def users_cache_folder(base: Mapping[str, str]) -> Path | None:
    """Return the cache folder in the user's home, created if missing; None if it is unusable."""
    try:
        folder = Path(base.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "googlenet-bench"
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError):  # RuntimeError: there is no home
        return None
    return folder if os.access(folder, os.W_OK | os.X_OK) else None


def _temporary_cache_folder() -> Path:
    folder = Path(tempfile.gettempdir()) / f"googlenet-bench-{os.getuid()}"
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    # Its files are executed as code, so a folder of another user is not used.
    return folder if folder.lstat().st_uid == os.getuid() else _folder_of_this_process(folder)


@functools.cache  # a new folder at each call would keep nothing
def _folder_of_this_process(unusable: Path) -> Path:
    return Path(tempfile.mkdtemp(dir=unusable.parent))
