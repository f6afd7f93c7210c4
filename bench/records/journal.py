"""The journal: every event of a run, appended to a file as it happens.

Each event is one line of JSON, written to the file immediately, so that results survive however
the measuring process ends. The journal is not needed after the run file is written.
"""

import errno
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import msgspec

from bench.names import RequestError
from bench.records.events import Began, Event
from bench.records.record import SCHEMA_VERSION

STEM, SUFFIX = "journal", ".jsonl"
READABLE = (2, SCHEMA_VERSION)  # version 3 added fields that have defaults
FILE = f"{STEM}{SUFFIX}"
# Errors of file systems without locks: Lustre without its option, some NFS and FUSE.
_LOCKS_NONE = frozenset({errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK})
_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(Event)


class Journal:
    """A journal that is being written. A write error ends the journal, not the run."""

    def __init__(self, path: Path, on_error: Callable[[OSError], None]) -> None:
        """Raise ``RequestError`` if the folder is not writable or another run writes there."""
        self.path = path
        self._on_error = on_error
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("ab", buffering=0)
        except OSError as error:
            raise RequestError(
                f"cannot write to {path.parent}: {error.strerror}; --report-dir names another "
                "folder"
            ) from error
        try:
            self.is_locked = _lock(self._file, path)
            """Whether other runs cannot write here; not every file system supports locks."""
        except RequestError:
            self._file.close()
            raise
        _mend_last_line(path)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._file.close()

    def append(self, event: Event) -> None:
        """Write an event. The first failure is reported; after it nothing more is written."""
        if self._file.closed:
            return
        line = _ENCODER.encode(event) + b"\n"
        try:
            written = self._file.write(line)
            if written != len(line):  # a partial write: the next one raises the reason
                self._file.write(line[written:])
        except OSError as error:
            self._file.close()
            self._on_error(error)


def read(path: Path) -> Iterator[Event]:
    """Yield the events of a journal, without an incomplete last line.

    Raises ``RequestError`` if the file is not a journal, or is one of another version.
    """
    try:
        *lines, _cut_off = path.read_bytes().split(b"\n")
    except OSError as error:
        raise RequestError(f"cannot read {path}: {error.strerror}") from error
    if not lines:
        raise RequestError(f"{path} is an empty journal")
    for number, line in enumerate(lines, 1):
        try:
            event = _DECODER.decode(line)
        except msgspec.DecodeError as error:
            raise RequestError(f"{path} is not a journal: line {number}: {error}") from error
        _check(event, number, path)
        yield event


def is_empty(path: Path) -> bool:
    """Whether a journal has no complete line or does not exist; both are treated the same."""
    try:
        with path.open("rb") as file:
            return not file.readline().endswith(b"\n")
    except FileNotFoundError:
        return True
    except OSError as error:
        raise RequestError(f"cannot read {path}: {error.strerror}") from error


def set_aside(path: Path) -> Path | None:
    """Rename an unfinished run's journal, so that a new run does not overwrite it.

    Returns the new path; None if there is no journal or it is empty. Raises ``RequestError`` if
    that run is still in progress, or if the file cannot be renamed.
    """
    what = f"cannot set aside {path}, the journal of an interrupted run"
    try:
        with path.open("r+b") as file:  # NFS locks only writable files
            _lock(file, path)
        if is_empty(path):
            return None
        stamp = datetime.fromtimestamp(path.stat().st_mtime).astimezone().strftime("%Y%m%d-%H%M%S")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise RequestError(
            f"{what}: {error.strerror}; --report-dir names another folder"
        ) from error
    try:
        return path.rename(path.with_stem(f"{path.stem}-{stamp}"))
    except OSError as error:
        raise RequestError(
            f"{what}: {error.strerror}; --resume continues that run, and --report-dir names "
            "another folder"
        ) from error


def _check(event: Event, number: int, path: Path) -> None:
    if (number == 1) is not isinstance(event, Began):
        raise RequestError(
            f"{path} is not a journal: its first event must be Began, and no other event may be"
        )
    if isinstance(event, Began) and event.schema_version not in READABLE:
        raise RequestError(
            f"{path} has schema version {event.schema_version}, but this googlenet-bench writes "
            f"{SCHEMA_VERSION}: resume with the version that began the run"
        )


def _lock(file: IO[bytes], path: Path) -> bool:
    """Lock the file against other runs until it is closed or its process ends.

    Returns False if this file system does not support locks.
    """
    import fcntl  # missing on Windows, where journals can only be read

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise RequestError(
            f"another run is writing {path}: wait until it ends, or choose another folder with "
            "--report-dir"
        ) from None
    except OSError as error:
        if error.errno in _LOCKS_NONE:
            return False
        raise RequestError(
            f"cannot lock {path}: {error.strerror}; --report-dir names another folder"
        ) from error
    return True


def _mend_last_line(path: Path) -> None:
    """Remove an incomplete last line of a killed writer, so that the next event starts a line."""
    if not path.is_file():
        return
    with path.open("r+b") as file:
        content = file.read()
        file.truncate(content.rfind(b"\n") + 1)
