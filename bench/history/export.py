"""The export of a history: every figure in a row of its own, as CSV or JSON."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import IO, Any

import msgspec
import pandas as pd

from bench.errors import RequestError
from bench.history.exported import ExportedFigure
from bench.tables import csv_safe

CSV, JSON = "csv", "json"
FORMS = (CSV, JSON)
_AT_ONCE = 10_000  # rows in memory; a history may have millions


def write(figures: Iterable[ExportedFigure], form: str, file: IO[str]) -> int:
    """Write figures in one of ``FORMS``, and return their number."""
    count = 0
    rest = iter(figures)
    is_json = form == JSON
    while part := list(islice(rest, _AT_ONCE)):
        rows = [{**msgspec.structs.asdict(each), "when": each.when.isoformat()} for each in part]
        if is_json:
            file.write("[\n" if count == 0 else ",\n")
            file.write(",\n".join(msgspec.json.encode(row).decode() for row in rows))
        else:
            file.write(_csv(rows, has_header=count == 0))
        count += len(rows)
    if is_json:
        file.write("\n]\n" if count else "[]\n")
    return count


def write_file(figures: Iterator[ExportedFigure], form: str, path: Path, *, replace: bool) -> int:
    """Write figures to a file, completely or not at all, and return their number.

    Raises ``RequestError`` if the file exists, unless ``replace``, or if it cannot be written.
    """
    if path.exists() and not replace:
        raise RequestError(f"{path} exists: --force replaces it")
    temporary = path.with_name(f".{path.name}.part")
    try:
        with temporary.open("w", encoding="utf-8", newline="") as file:
            count = write(figures, form, file)
        temporary.replace(path)
    except OSError as error:
        raise RequestError(f"cannot write {path}: {error.strerror}") from error
    finally:
        temporary.unlink(missing_ok=True)
    return count


def _csv(rows: Sequence[dict[str, Any]], *, has_header: bool) -> str:
    columns = list(ExportedFigure.__struct_fields__)
    frame = pd.DataFrame(rows, columns=columns).astype({"threads": "Int64"})
    return csv_safe(frame).to_csv(index=False, header=has_header, lineterminator="\n")
