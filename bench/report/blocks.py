"""Blocks: what a section is made of. Each format renders every kind of block."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import pandas as pd

from bench.columns import Column
from bench.records.record import RunRecord
from bench.report.chart import Chart
from bench.report.checks import Check


@dataclass(frozen=True, slots=True, kw_only=True)
class Heading:
    """A heading inside a section."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Prose:
    """Plain text of our own: paragraphs, separated by blank lines. Not escaped in Markdown."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Paragraph:
    """A paragraph that contains text of a run, such as the name of a network."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sentences:
    """A list of sentences."""

    sentences: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """Pairs of a term and its explanation, both of our own."""

    terms: Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """A sentence that a reader must know before any figure. Formats show or announce it first."""

    label: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Checks:
    """A short summary of a run's validity."""

    checks: Sequence[Check]


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table: its title, its columns, and a row for each row of a data frame."""

    title: str
    columns: tuple[Column, ...]
    rows: pd.DataFrame


@dataclass(frozen=True, slots=True, kw_only=True)
class CellTable:
    """The cells of a run, by group, with the charts of each group. The page can filter them."""

    run: RunRecord
    charts: Sequence[Chart]
    """Charts to show before the table."""
    further: Sequence[Chart] = ()
    """Charts to show after the table."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A chart with its caption."""

    chart: Chart


@dataclass(frozen=True, slots=True, kw_only=True)
class Verbatim:
    """Text that is shown as it is, such as a command or what a process wrote."""

    label: str
    text: str
    is_long: bool = False
    """Whether it has many lines, so that it is folded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Folded:
    """Blocks that are hidden until a reader opens them."""

    summary: str
    blocks: Sequence["Block"]


Block: TypeAlias = (
    Heading
    | Prose
    | Paragraph
    | Sentences
    | Terms
    | Notice
    | Checks
    | Table
    | CellTable
    | Picture
    | Verbatim
    | Folded
)


def is_empty(block: Block) -> bool:
    """Return whether a block has nothing to show."""
    match block:
        case Prose(text=text) | Paragraph(text=text):
            return not text.strip()
        case Sentences(sentences=parts) | Terms(terms=parts) | Folded(blocks=parts):
            return not parts
        case Table(rows=rows):
            return rows.empty
        case _:
            return False
