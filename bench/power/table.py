"""Tables that grow: CSV files of plain records, appended to as they come, a line each."""

import csv
from collections.abc import Iterable, Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, TypeVar

import msgspec

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
    """Add rows, all of one dataclass, under a heading where the file is new."""
    rows = list(rows)
    if not rows:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8", newline="") as file:
        names = [field.name for field in fields(rows[0])]
        writer = csv.DictWriter(file, names, lineterminator="\n")
        if file.tell() == 0:
            writer.writeheader()
        writer.writerows(map(asdict, rows))
