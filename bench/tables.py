"""Tables: how a data frame is shown in each output format."""

import html
import json
import os
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import IO, Any, TypeAlias

import pandas as pd
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bench.columns import IN_FULL, Column, telling_apart
from bench.standard_output import escape_unencodable
from bench.units import between, with_minus

BLANK = "–"
EMPTY = "The table has no rows."
LOG_WIDTH = 200  # characters
NO_WIDTH = 10_000  # characters; wider than any table
WRAPPED = 24  # minimum width of a line of prose, in characters


Form: TypeAlias = Callable[[tuple[Column, ...], pd.DataFrame], str]
"""A format of tables: the function that returns a frame as text."""


def cells(columns: tuple[Column, ...], frame: pd.DataFrame, between: str = " ") -> list[list[str]]:
    """Return every value of a frame as text, with a dash for a missing one.

    ``between`` separates a value from its interval.
    """
    return [
        [between.join(filter(None, written(column, row))) for column in columns]
        for row in frame.to_dict("records")
    ]


def written(column: Column, row: Mapping[Hashable, Any]) -> tuple[str, str]:
    """Return a value as text, and its interval in brackets or an empty string."""
    value = row.get(column.name)
    if pd.isna(value):
        return BLANK, ""
    low, high = row.get(f"{column.name}_low"), row.get(f"{column.name}_high")
    if row.get(column.at_least) is True:
        return f"≥ {column.write(value)}", ""
    if not column.bounded or pd.isna(low) or pd.isna(high):
        text = column.write(value)
        return text if column.is_text else with_minus(text), ""
    write = telling_apart(column.write, low, high, column.neutral)
    return with_minus(write(value)), f"({between(write(low), write(high))})"


def as_markdown(columns: tuple[Column, ...], frame: pd.DataFrame) -> str:
    """Return a Markdown table for GitHub; text is escaped, so that it cannot break the table."""
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
    """Return a table for the terminal; if ``stacked``, each interval is on a line of its own."""
    table = Table(title=title or None, title_justify="left")
    for column in columns:
        table.add_column(
            Text(column.heading),
            justify="left" if column.is_text else "right",
            no_wrap=not column.wraps,
            # The ellipsis shows that a number is cropped on a narrow terminal.
            overflow="fold" if column.wraps else "ellipsis",
        )
    for row in cells(columns, frame, "\n" if stacked else " "):
        table.add_row(*map(Text, row))
    return table


def as_records(columns: tuple[Column, ...], frame: pd.DataFrame, title: str = "") -> Table:
    """Return a table for the terminal with a block per row and a line per value."""
    table = Table(title=title or None, title_justify="left", show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for row in cells(columns, frame):
        for column, text in zip(columns, row, strict=True):
            table.add_row(Text(column.heading.replace("\n", " ")), Text(text))
        table.add_section()
    return table


def as_html(columns: tuple[Column, ...], frame: pd.DataFrame, title: str = "") -> str:
    """Return an HTML table; all text is escaped."""
    aligned = [f' style="text-align:{"left" if column.is_text else "right"}"' for column in columns]

    def row(tag: str, texts: Iterable[str]) -> str:
        styled = zip(aligned, texts, strict=True)
        return "".join(f"<{tag}{style}>{html.escape(text)}</{tag}>" for style, text in styled)

    head = row("th", (column.heading.replace("\n", " ") for column in columns))
    body = "".join(f"<tr>{row('td', texts)}</tr>\n" for texts in cells(columns, frame))
    caption = f"<caption>{html.escape(title)}</caption>\n" if title else ""
    return f"<table>\n{caption}<tr>{head}</tr>\n{body}</table>"


def as_csv(_columns: tuple[Column, ...], frame: pd.DataFrame) -> str:
    """Return all columns of the frame as CSV, unrounded; safe to open in a spreadsheet."""
    return csv_safe(frame).to_csv(index=False).rstrip("\n")


def as_json(_columns: tuple[Column, ...], frame: pd.DataFrame) -> str:
    """Return all columns of the frame as JSON, unrounded: a list of rows, with null if missing."""
    rows = json.loads(frame.to_json(orient="records", double_precision=15))
    return json.dumps(rows, indent=2)


def fitted(
    console: Console, columns: tuple[Column, ...], frame: pd.DataFrame, title: str = ""
) -> Table:
    """Return a table that fits into the width of the console.

    If it is too wide, columns of rank ``IN_FULL`` are left out first. Then intervals move below
    their values, and then further columns are left out by rank, which a caption lists. If it is
    still too wide, each row becomes a block with a line per value.
    """
    widest = as_rich(columns, frame, title)
    for table in (widest, *_narrower(columns, frame, title)):
        if _least_width(console, table) <= console.width:
            return table
    shown = tuple(column for column in columns if column.rank < IN_FULL)
    return as_records(shown, frame, title)


def _least_width(console: Console, table: Table) -> int:
    """Return a table's width in characters, with uncropped numbers and prose in short lines."""
    unbounded = console.options.update(width=NO_WIDTH)
    prose = [column for column in table.columns if not column.no_wrap]
    longest = (
        max((console.measure(cell, options=unbounded).maximum for cell in column.cells), default=0)
        for column in prose
    )
    full_width = console.measure(table, options=unbounded).maximum
    return full_width - sum(max(0, length - WRAPPED) for length in longest)


def _narrower(columns: tuple[Column, ...], frame: pd.DataFrame, title: str) -> Iterator[Table]:
    """Yield narrower and narrower versions of a table."""
    shown = tuple(column for column in columns if column.rank < IN_FULL)
    yield as_rich(shown, frame, title)
    yield as_rich(shown, frame, title, stacked=True)
    for rank in sorted({column.rank for column in shown if column.rank}, reverse=True):
        remaining = tuple(column for column in shown if column.rank < rank)
        table = as_rich(remaining, frame, title, stacked=True)
        hidden = ", ".join(
            column.heading.replace("\n", " ") for column in shown if column not in remaining
        )
        table.caption = Text(f"Not shown, because the terminal is too narrow: {hidden}.")
        table.caption_justify = "left"
        yield table


def terminal_console(file: IO[str] | None = None, *, stderr: bool = False) -> Console:
    """Return a console as wide as the terminal.

    Without a terminal its width is the environment variable COLUMNS, or else ``LOG_WIDTH``. What
    its encoding lacks is shown as escapes.
    """
    console = Console(file=file, stderr=stderr)
    escape_unencodable(console.file)
    if console.is_terminal or os.environ.get("COLUMNS", "").isdecimal():  # rich reads it, too
        return console
    return Console(file=file, stderr=stderr, width=LOG_WIDTH)


def _as_terminal(columns: tuple[Column, ...], frame: pd.DataFrame) -> str:
    console = terminal_console()
    with console.capture() as captured:
        console.print(fitted(console, columns, frame))
    return captured.get().rstrip("\n")


def _unless_empty(form: Form) -> Form:
    """Return a format for people, which says that a table has no rows instead of its heading."""
    return lambda columns, frame: EMPTY if frame.empty else form(columns, frame)


FORMATS: Mapping[str, Form] = MappingProxyType(
    {
        "rich": _unless_empty(_as_terminal),
        "markdown": _unless_empty(as_markdown),
        "csv": as_csv,
        "json": as_json,
    }
)
PROSE = frozenset({"rich", "markdown"})  # formats for people, not for programs


def csv_safe(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the frame with a quote before any text that a spreadsheet would run as a formula."""
    text = frame.select_dtypes(exclude=["number", "bool"])  # saves time: there may be millions
    return frame.assign(**{str(name): _defused(column) for name, column in text.items()})


def _defused(column: "pd.Series[Any]") -> "pd.Series[Any]":
    if column.dtype != object:
        return column.map(_without_formula)
    # map would make whole numbers beside missing values floating-point.
    return pd.Series(map(_without_formula, column), index=column.index, dtype=object)


def _without_formula(value: Any) -> Any:
    is_formula = isinstance(value, str) and value[:1] in {*"=+-@\t\r"}
    return f"'{value}" if is_formula else value


def escaped(text: str) -> str:
    """Return text escaped for a Markdown table cell."""
    for character, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("|", "&#124;")):
        text = text.replace(character, entity)
    for character in "\\`*_[]":
        text = text.replace(character, "\\" + character)
    return " ".join(text.split())
