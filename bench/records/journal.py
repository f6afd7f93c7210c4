"""The journal: every event of a run, appended to a file as it happens.

A JSON line each, handed to the system at once: what was measured outlives the process that
measured it, however that ends. Once the run file is written the journal has done its work.
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
FILE = f"{STEM}{SUFFIX}"
# What file systems say that lock no files: Lustre without its option, some NFS and FUSE.
_LOCKS_NONE = frozenset({errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK})
_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(Event)


class Journal:
    """A journal being written. A disk that takes no more ends the journal, not the run."""

    def __init__(self, path: Path, on_error: Callable[[OSError], None]) -> None:
        """Raises ``RequestError`` where the folder takes no file, or another run writes there."""
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
            self.keeps_others_away = _lock(self._file, path)
            """Whether another run is refused that would write here; not every file system can."""
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
        """Write an event; the first failure is told, and then nothing more is written."""
        if self._file.closed:
            return
        line = _ENCODER.encode(event) + b"\n"
        try:
            written = self._file.write(line)
            if written != len(line):  # the disk took a part: it will say why if asked again
                self._file.write(line[written:])
        except OSError as error:
            self._file.close()
            self._on_error(error)


def read(path: Path) -> Iterator[Event]:
    """The events of a journal; a line that was cut off by the end of its writer is left out.

    Raises ``RequestError`` in a sentence for what is no journal, or one of another version.
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
            raise RequestError(f"{path} is no journal: line {number}: {error}") from error
        _check(event, number, path)
        yield event


def is_empty(path: Path) -> bool:
    """Whether a run was cut off before it had written a line: it is as if there were none."""
    try:
        with path.open("rb") as file:
            return not file.readline().endswith(b"\n")
    except FileNotFoundError:
        return True
    except OSError as error:
        raise RequestError(f"cannot read {path}: {error.strerror}") from error


def set_aside(path: Path) -> Path | None:
    """Rename an unfinished run's journal, which a new run must not overwrite; its new path.

    None where there is none, or none with a line. Raises ``RequestError`` where that run is not
    finished because it is still going on, and where it cannot be renamed.
    """
    what = f"cannot set aside {path}, which a run that was cut off left"
    try:
        with path.open("r+b") as file:  # NFS locks what may be written alone
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
            f"{what}: {error.strerror}; --resume goes on with it, and --report-dir names another "
            "folder"
        ) from error


def _check(event: Event, number: int, path: Path) -> None:
    if (number == 1) is not isinstance(event, Began):
        raise RequestError(f"{path} is no journal: a run begins on its first line and there alone")
    if isinstance(event, Began) and event.schema_version != SCHEMA_VERSION:
        raise RequestError(
            f"{path} has schema version {event.schema_version} where this googlenet-bench writes "
            f"{SCHEMA_VERSION}: go on with the version that began it"
        )


def _lock(file: IO[bytes], path: Path) -> bool:
    """Keep other runs away for as long as the file is open; its writer's death opens it too.

    False where this file system locks no files.
    """
    import fcntl  # not on Windows, where a journal can only be read

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise RequestError(
            f"another run is writing {path}: wait for its end, or name another folder with "
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
    """Cut off what a killed writer left of its last line, so that the next one stands alone."""
    if not path.is_file():
        return
    with path.open("r+b") as file:
        content = file.read()
        file.truncate(content.rfind(b"\n") + 1)
