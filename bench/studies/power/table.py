"""CSV files of dataclass rows, to which rows are appended."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, TextIO, TypeVar

import msgspec

from bench.atomic import write_text
from bench.errors import RequestError

Row = TypeVar("Row")


def read(path: Path, row: type[Row]) -> list[Row]:
    """Return the rows of a table; empty if the file does not exist.

    Raises ``RequestError`` if the file holds anything else.
    """
    if not path.exists():
        return []
    try:
        with path.open(encoding="utf-8", newline="") as file:
            lines: Iterable[Mapping[str, Any]] = list(csv.DictReader(file))
        return [msgspec.convert(line, row, strict=False) for line in lines]
    except (OSError, UnicodeDecodeError, csv.Error, msgspec.ValidationError) as error:
        raise RequestError(f"{path} is not a table of {row.__name__} rows: {error}") from error


def append(path: Path, rows: Iterable[Any]) -> None:
    """Append rows of one dataclass; a new file starts with a header line.

    A file of an earlier version is rewritten with the columns that it lacks. Raises
    ``RequestError`` if the file holds anything else.
    """
    rows = list(rows)
    if not rows:
        return
    names = [field.name for field in fields(rows[0])]
    path.parent.mkdir(parents=True, exist_ok=True)
    header = _header(path) if path.exists() else []
    if unknown := set(header) - set(names):
        raise RequestError(f"{path} has columns that this version does not know: {min(unknown)}")
    if header not in ([], names):
        rows = [*read(path, type(rows[0])), *rows]
        text = io.StringIO()
        _write(text, names, rows, has_header=False)
        write_text(path, text.getvalue())
        return
    with path.open("a", encoding="utf-8", newline="") as file:
        _write(file, names, rows, has_header=file.tell() > 0)


def _header(path: Path) -> list[str]:
    with path.open(encoding="utf-8", newline="") as file:
        return next(csv.reader(file), [])


def _write(file: TextIO, names: Sequence[str], rows: Iterable[Any], *, has_header: bool) -> None:
    writer = csv.DictWriter(file, names, lineterminator="\n")
    if not has_header:
        writer.writeheader()
    writer.writerows(map(asdict, rows))
