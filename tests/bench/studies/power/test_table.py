import math
from pathlib import Path

import pytest

from bench.errors import RequestError
from bench.studies.power import table
from bench.studies.power.sets import SetRow
from tests.bench.studies.power.test_rates import row


def test_written_rows_are_read_back(tmp_path: Path) -> None:
    path = tmp_path / "there" / "sets.csv"
    assert table.read(path, SetRow) == []
    table.append(path, [row(0.1)])
    table.append(path, [])
    table.append(path, [row(0.2), row(math.nan)])
    first, second, third = table.read(path, SetRow)
    assert (first, second) == (row(0.1), row(0.2))
    assert math.isnan(third.log_ratio)
    assert path.read_text().count("began") == 1


@pytest.mark.parametrize("content", ["a,b\n1,2\n", "\xff\xfe", "began\nnow\n"])
def test_a_file_that_is_not_such_a_table_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "sets.csv"
    path.write_text(content, encoding="latin-1")
    if content == "\xff\xfe":
        path.write_text(content, encoding="utf-16")
    with pytest.raises(RequestError, match=r"sets\.csv is not a table of SetRow rows"):
        table.read(path, SetRow)


def test_a_truncated_line_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "sets.csv"
    table.append(path, [row(0.1)])
    path.write_text(path.read_text()[:-12])
    with pytest.raises(RequestError, match="not a table"):
        table.read(path, SetRow)


def test_a_file_of_a_later_version_is_refused_and_unchanged(tmp_path: Path) -> None:
    path = tmp_path / "sets.csv"
    table.append(path, [row(0.1)])
    header, line = path.read_text().splitlines()
    before = f"{header},colour\n{line},green\n"
    path.write_text(before)
    with pytest.raises(RequestError, match="does not know: colour"):
        table.append(path, [row(0.2)])
    assert path.read_text() == before


def test_a_file_of_an_earlier_version_gets_the_missing_columns(tmp_path: Path) -> None:
    path = tmp_path / "sets.csv"
    table.append(path, [row(0.1), row(0.2)])
    lines = path.read_text().splitlines()
    path.write_text("".join(line.rpartition(",")[0] + "\n" for line in lines))
    table.append(path, [row(0.3)])
    first, second, third = table.read(path, SetRow)
    assert [item.log_ratio for item in (first, second, third)] == [0.1, 0.2, 0.3]
    assert math.isnan(first.tail_log_ratio)
    assert third == row(0.3)
