"""Tables: what is shown of a frame, in which words and units, and in which format."""

import json
from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import IO, Any

import pandas as pd
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bench.means import Interval

BLANK = "–"
LOG_WIDTH = 200  # characters
NO_WIDTH = 10_000  # wider than any table
WRAPPED = 24  # characters that a line of prose should have at the least
IN_FULL = 9  # the rank of what is missed by few, and found in a file


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column as a person reads it: a heading with its unit, and how a value is written."""

    name: str
    heading: str
    write: Callable[[Any], str] = str
    is_text: bool = False
    wraps: bool = False
    """Prose, which may take several lines; everything else stands on one."""
    at_least: str = ""
    """The name of a column that says whether the value is a lower bound, to be written as such."""
    bounded: bool = False
    """Whether ``NAME_low`` and ``NAME_high`` hold an interval, to be written beside the value."""
    rank: int = 0
    """Where there is no room for everything, on a terminal, the highest are left out first."""


def scaled(factor: float, decimals: int) -> Callable[[Any], str]:
    """Write a number times ``factor``, with so many decimals and thousands apart."""
    return lambda value: f"{value * factor:,.{decimals}f}"


def milliseconds(seconds: float) -> str:
    """Three significant digits, or all before the point."""
    value = seconds * 1e3
    decimals = 3 if value < 1 else 2 if value < 10 else 1 if value < 100 else 0
    return f"{value:,.{decimals}f}"


def joules(value: float) -> str:
    """Three significant digits, or all before the point."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def bounded(name: str, found: Interval) -> dict[str, float]:
    """An estimate's column, and those of its interval's bounds: what ``Column.bounded`` reads."""
    return {name: found.estimate, f"{name}_low": found.low, f"{name}_high": found.high}


def cells(columns: tuple[Column, ...], frame: pd.DataFrame, between: str = " ") -> list[list[str]]:
    """Every value of a frame as text, a missing one as a dash; and ``between`` its interval."""
    return [
        [between.join(filter(None, written(column, row))) for column in columns]
        for row in frame.to_dict("records")
    ]


def written(column: Column, row: Mapping[Hashable, Any]) -> tuple[str, str]:
    """A value as a person reads it, and its interval in brackets; empty where it has none."""
    value = row.get(column.name)
    if pd.isna(value):
        return BLANK, ""
    low, high = row.get(f"{column.name}_low"), row.get(f"{column.name}_high")
    if row.get(column.at_least) is True:
        return f"≥ {column.write(value)}", ""
    if not column.bounded or pd.isna(low) or pd.isna(high):
        return column.write(value), ""
    return column.write(value), f"({column.write(low)}–{column.write(high)})"


def filled(columns: tuple[Column, ...], frame: pd.DataFrame) -> tuple[Column, ...]:
    """The columns that have a value anywhere."""
    return tuple(
        column for column in columns if column.name in frame and frame[column.name].notna().any()
    )


def as_markdown(columns: tuple[Column, ...], frame: pd.DataFrame) -> str:
    """A table that GitHub renders; what comes from outside cannot break out of it."""
    from tabulate import tabulate

    table: str = tabulate(
        [[escaped(text) for text in row] for row in cells(columns, frame)],
        headers=[escaped(column.heading) for column in columns],
        tablefmt="pipe",
        colalign=["left" if column.is_text else "right" for column in columns],
        disable_numparse=True,
    )
    return table


def as_rich(
    columns: tuple[Column, ...], frame: pd.DataFrame, title: str = "", *, stacked: bool = False
) -> Table:
    """A table for the terminal; ``stacked`` has intervals on lines of their own."""
    table = Table(title=title or None, title_justify="left")
    for column in columns:
        table.add_column(
            Text(column.heading),
            justify="left" if column.is_text else "right",
            no_wrap=not column.wraps,
            # On a narrow terminal a cropped figure shows that it is cropped.
            overflow="fold" if column.wraps else "ellipsis",
        )
    for row in cells(columns, frame, "\n" if stacked else " "):
        table.add_row(*map(Text, row))
    return table


def as_records(columns: tuple[Column, ...], frame: pd.DataFrame, title: str = "") -> Table:
    """The same with a line for each value, and a block for each row."""
    table = Table(title=title or None, title_justify="left", show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for row in cells(columns, frame):
        for column, text in zip(columns, row, strict=True):
            table.add_row(Text(column.heading.replace("\n", " ")), Text(text))
        table.add_section()
    return table


def as_csv(_columns: tuple[Column, ...], frame: pd.DataFrame) -> str:
    """Every column of the frame, whole, under its own name; safe to open in a spreadsheet."""
    return csv_safe(frame).to_csv(index=False).rstrip("\n")


def as_json(_columns: tuple[Column, ...], frame: pd.DataFrame) -> str:
    """Every column of the frame, whole: a list of rows, missing values as null."""
    rows = json.loads(frame.to_json(orient="records", double_precision=15))
    return json.dumps(rows, indent=2)


def fitted(
    console: Console, columns: tuple[Column, ...], frame: pd.DataFrame, title: str = ""
) -> Table:
    """A table as wide as the console at the most: with all columns, or without the highest in rank.

    What few miss goes first; then intervals go below their figures, and then columns go, which the
    table says below. Where nothing helps, each row is a block with a line for each value.
    """
    first = as_rich(columns, frame, title)
    for table in (first, *_narrower(columns, frame, title)):
        if _least_width(console, table) <= console.width:
            return table
    shown = tuple(column for column in columns if column.rank < IN_FULL)
    return as_records(shown, frame, title)


def _least_width(console: Console, table: Table) -> int:
    """Characters that a table takes with no figure cropped, and prose in lines of ``WRAPPED``."""
    unbounded = console.options.update(width=NO_WIDTH)
    prose = [column for column in table.columns if not column.no_wrap]
    longest = (
        max((console.measure(cell, options=unbounded).maximum for cell in column.cells), default=0)
        for column in prose
    )
    whole = console.measure(table, options=unbounded).maximum
    return whole - sum(max(0, length - WRAPPED) for length in longest)


def _narrower(columns: tuple[Column, ...], frame: pd.DataFrame, title: str) -> Iterator[Table]:
    """The same in fewer characters, and then in fewer still."""
    shown = tuple(column for column in columns if column.rank < IN_FULL)
    yield as_rich(shown, frame, title)
    yield as_rich(shown, frame, title, stacked=True)
    for rank in sorted({column.rank for column in shown if column.rank}, reverse=True):
        left = tuple(column for column in shown if column.rank < rank)
        table = as_rich(left, frame, title, stacked=True)
        out = ", ".join(column.heading.replace("\n", " ") for column in shown if column not in left)
        table.caption = Text(f"Not shown for want of width: {out}.")
        table.caption_justify = "left"
        yield table


def terminal_console(file: IO[str] | None = None, *, stderr: bool = False) -> Console:
    """A console as wide as the terminal; in a log, wide enough for most tables."""
    console = Console(file=file, stderr=stderr)
    return console if console.is_terminal else Console(file=file, stderr=stderr, width=LOG_WIDTH)


def _as_terminal(columns: tuple[Column, ...], frame: pd.DataFrame) -> str:
    console = terminal_console()
    with console.capture() as captured:
        console.print(fitted(console, columns, frame))
    return captured.get().rstrip("\n")


FORMATS: Mapping[str, Callable[[tuple[Column, ...], pd.DataFrame], str]] = MappingProxyType(
    {"rich": _as_terminal, "markdown": as_markdown, "csv": as_csv, "json": as_json}
)
PROSE = frozenset({"rich", "markdown"})  # the formats that people read, not programs


def csv_safe(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with no text that a spreadsheet would take for a formula."""
    text = frame.select_dtypes(exclude=["number", "bool"])  # of a million numbers none is text
    return frame.assign(**{str(name): column.map(_defused) for name, column in text.items()})


def _defused(value: Any) -> Any:
    is_formula = isinstance(value, str) and value[:1] in {*"=+-@\t\r"}
    return f"'{value}" if is_formula else value


def escaped(text: str) -> str:
    """Text that stands in a Markdown table cell as it is."""
    for character, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("|", "&#124;")):
        text = text.replace(character, entity)
    for character in "\\`*_[]":
        text = text.replace(character, "\\" + character)
    return " ".join(text.split())
