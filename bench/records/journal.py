"""The journal: every event of a run, appended to a file as it happens.

Each event is one line of JSON, written to the file immediately, so that results survive however
the measuring process ends. The journal is not needed after the run file is written. Versions:

2. The first version that is read.
3. Some events have fields that earlier ones lack; all have defaults.
4. Each line has a checksum (bench/records/journal_lines.py).
"""

import errno
import os
import shutil
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import msgspec

from bench import json_input, paths
from bench.errors import RequestError
from bench.records import journal_lines
from bench.records.events import JOURNAL_VERSION, Began, Event

STEM, SUFFIX = "journal", ".jsonl"
READABLE = (2, 3, JOURNAL_VERSION)
_FIRST_WITH_CHECKSUMS = 4
FILE = f"{STEM}{SUFFIX}"
# Errors of file systems without locks: Lustre without its option, some NFS and FUSE.
_LOCKS_NONE = frozenset({errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK})
_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(Event)


class DamagedJournalError(RequestError):
    """A line of a journal is not what was written, or does not belong to its run."""

    def __init__(self, path: Path, line: int, reason: str, what: str = "is damaged") -> None:
        """``line`` is the number of the damaged line, from 1."""
        super().__init__(f"{path} {what}: line {line}: {reason}")
        self.line = line


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
        self._checksum = journal_lines.checksum_after(_mended(path))

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
        line, self._checksum = journal_lines.sealed(_ENCODER.encode(event), self._checksum)
        line += b"\n"
        try:
            written = self._file.write(line)
            if written != len(line):  # a partial write: the next one raises the reason
                self._file.write(line[written:])
        except OSError as error:
            self._file.close()
            self._on_error(error)


def read(path: Path) -> Iterator[Event]:
    """Yield the events of a journal, without an incomplete last line.

    Raises ``RequestError`` if the file is not a journal or is one of another version, and
    ``DamagedJournalError``, after the events before it, at the first damaged line.
    """
    lines = _complete_lines(path)
    if not lines:
        raise RequestError(f"{path} is an empty journal")
    must_have_checksums = False
    for number, line in enumerate(journal_lines.parsed(lines), 1):
        if line.fault:
            raise DamagedJournalError(path, number, line.fault)
        try:
            event = _decoded(line.content)
        except (msgspec.DecodeError, ValueError, RecursionError) as error:
            what = "is not a journal" if number == 1 else "is damaged"
            raise DamagedJournalError(path, number, json_input.fault(error), what) from error
        if number == 1:
            must_have_checksums = _check_began(event, path) >= _FIRST_WITH_CHECKSUMS
        elif isinstance(event, Began):
            raise DamagedJournalError(path, number, "only the first event may be Began")
        if must_have_checksums and not line.has_checksum:
            raise DamagedJournalError(path, number, "it has no checksum")
        yield event


def cut(path: Path, damaged_line: int) -> Path:
    """Shorten a journal to what stands before a damaged line, and return a copy of the whole.

    Raises ``RequestError`` if either cannot be written.
    """
    lines = path.read_bytes().split(b"\n")[: damaged_line - 1]
    try:
        copy = Path(shutil.copy2(path, _aside(path, "damaged")))
        os.truncate(path, sum(len(line) + 1 for line in lines))
    except OSError as error:
        raise RequestError(
            f"cannot keep a copy of {path}, which is damaged: {error.strerror}; make room, then "
            "continue with --resume"
        ) from error
    return copy


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
        aside = _aside(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise RequestError(
            f"{what}: {error.strerror}; --report-dir names another folder"
        ) from error
    try:
        return path.rename(aside)
    except OSError as error:
        raise RequestError(
            f"{what}: {error.strerror}; --resume continues that run, and --report-dir names "
            "another folder"
        ) from error


def _aside(path: Path, *words: str) -> Path:
    """Return a journal's path with the time of its last change in the name."""
    stamp = datetime.fromtimestamp(path.stat().st_mtime).astimezone().strftime("%Y%m%d-%H%M%S")
    return path.with_stem("-".join((path.stem, stamp, *words)))


def _decoded(content: bytes) -> Event:
    """Return an event in which all text can be shown."""
    if content.isascii() and b"\\" not in content and not json_input.has_long_number(content):
        return _DECODER.decode(content)
    event: Event = msgspec.convert(json_input.cleaned(json_input.decode(content)), Event)
    return event


def _check_began(event: Event, path: Path) -> int:
    """Return the version in a journal's first event; raise ``RequestError`` if it has none."""
    if not isinstance(event, Began):
        raise RequestError(f"{path} is not a journal: its first event must be Began")
    if event.schema_version not in READABLE:
        raise RequestError(
            f"{path} has schema version {event.schema_version}, but this googlenet-bench writes "
            f"{JOURNAL_VERSION}: resume with the version that began the run"
        )
    return event.schema_version


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


def _complete_lines(path: Path) -> list[bytes]:
    """Return the lines of a journal without newlines, and without an incomplete last line."""
    try:
        *lines, _cut_off = paths.usable(path).read_bytes().split(b"\n")
    except OSError as error:
        raise RequestError(f"cannot read {path}: {error.strerror}") from error
    return lines


def _mended(path: Path) -> list[bytes]:
    """Remove an incomplete last line of a killed writer, and return the lines that remain."""
    if not path.is_file():
        return []
    lines = _complete_lines(path)
    os.truncate(path, sum(len(line) + 1 for line in lines))
    return lines
