"""Tables that grow: CSV files of plain records, appended to as they come, a line each."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, TextIO, TypeVar

import msgspec

from bench.atomic import write_text
from bench.names import RequestError

Row = TypeVar("Row")


def read(path: Path, row: type[Row]) -> list[Row]:
    """The rows of a table, none where there is no file yet.

    Raises ``RequestError`` where it holds something else.
    """
    if not path.exists():
        return []
    try:
        with path.open(encoding="utf-8", newline="") as file:
            found: Iterable[Mapping[str, Any]] = list(csv.DictReader(file))
        return [msgspec.convert(line, row, strict=False) for line in found]
    except (OSError, UnicodeDecodeError, csv.Error, msgspec.ValidationError) as error:
        raise RequestError(f"{path} is no table of {row.__name__} rows: {error}") from error


def append(path: Path, rows: Iterable[Any]) -> None:
    """Add rows, all of one dataclass, under a heading where the file is new.

    A file of an earlier version, which lacks columns, gets them. Raises ``RequestError`` where it
    holds something else.
    """
    rows = list(rows)
    if not rows:
        return
    names = [field.name for field in fields(rows[0])]
    path.parent.mkdir(parents=True, exist_ok=True)
    heading = _heading(path) if path.exists() else []
    if more := set(heading) - set(names):
        raise RequestError(f"{path} has columns that this version does not know: {min(more)}")
    if heading not in ([], names):
        rows = [*read(path, type(rows[0])), *rows]
        text = io.StringIO()
        _write(text, names, rows, has_heading=False)
        write_text(path, text.getvalue())
        return
    with path.open("a", encoding="utf-8", newline="") as file:
        _write(file, names, rows, has_heading=file.tell() > 0)


def _heading(path: Path) -> list[str]:
    with path.open(encoding="utf-8", newline="") as file:
        return next(csv.reader(file), [])


def _write(file: TextIO, names: Sequence[str], rows: Iterable[Any], *, has_heading: bool) -> None:
    writer = csv.DictWriter(file, names, lineterminator="\n")
    if not has_heading:
        writer.writeheader()
    writer.writerows(map(asdict, rows))
