"""What a section of a report declares, and the document that all sections make."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TypeAlias

import pandas as pd

from bench.columns import Column
from bench.records.record import RunRecord
from bench.report import summary
from bench.report.blocks import Block, CellTable, Folded, Notice, Picture, Table, is_empty
from bench.report.chart import Chart

Rows: TypeAlias = tuple[tuple[Column, ...], pd.DataFrame]


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What a report is made from."""

    run: RunRecord
    charts: Sequence[Chart] = ()
    """The charts of the run; none for formats without pictures."""
    inside: pd.DataFrame | None = None
    """The rows of ``stages.csv``; None if there is no such file."""

    def picture(self, name: str) -> Iterator[Picture]:
        """Yield the chart of this name, if there is one."""
        return (Picture(chart=chart) for chart in self.charts if chart.name == name)

    def pictures(self, prefix: str) -> Iterator[Picture]:
        """Yield the charts whose names start with ``prefix``."""
        return (Picture(chart=chart) for chart in self.charts if chart.name.startswith(prefix))


@dataclass(frozen=True, slots=True, kw_only=True)
class DataTable:
    """A table of a run with all rows and columns, for files and ``report --table``."""

    compute: Callable[[RunRecord], Rows]
    """Function that returns the columns to show and a data frame with all columns."""
    is_file: bool = True
    """Whether it is written as NAME.csv."""
    is_optional: bool = False
    """Whether there is no file if it has no rows."""
    for_readers: Callable[[pd.DataFrame], pd.DataFrame] = lambda rows: rows
    """Function from its rows to those that formats for people show; CSV and JSON have its rows."""
    is_shown: bool = True
    """Whether ``report --table`` can print it; samples may be millions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A section of the report."""

    name: str
    """Name of its anchor in the page."""
    title: str
    label: str = ""
    """Title in the list of sections; by default, the title."""
    build: Callable[[Source], Iterable[Block]]
    """Function that yields its blocks. A section without blocks is left out."""
    tables: Mapping[str, DataTable] = field(default_factory=lambda: MappingProxyType({}))
    """Its data tables, by name."""
    is_printed: bool = False
    """Whether the terminal shows it after a run."""
    order: int = 1000
    """Position in the report."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltSection:
    """A section with its blocks."""

    name: str
    title: str
    label: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """A title, the most important results and sections, about anything."""

    title: str
    lead: tuple[str, ...]
    """The most important results, in sentences."""
    about: tuple[str, ...]
    """Short facts about what was measured."""
    sections: tuple[BuiltSection, ...]

    @property
    def notices(self) -> tuple[Notice, ...]:
        """The notices of all sections."""
        return tuple(block for block in self._blocks if isinstance(block, Notice))

    @property
    def charts(self) -> tuple[Chart, ...]:
        """The charts of all sections, in reading order."""
        charts: list[Chart] = []
        for block in self._blocks:
            if isinstance(block, Picture):
                charts.append(block.chart)
            elif isinstance(block, CellTable):
                charts += (*block.charts, *block.further)
        return tuple(charts)

    @property
    def _blocks(self) -> Iterator[Block]:
        return flat(block for section in self.sections for block in section.blocks)


@dataclass(frozen=True, slots=True, kw_only=True)
class Document(Sheet):
    """A report of a run, which any format can render."""

    run: RunRecord


def build(section: Section, source: Source) -> BuiltSection:
    """Return a section with its blocks, without empty ones."""
    return BuiltSection(
        name=section.name,
        title=section.title,
        label=section.label or section.title,
        blocks=tuple(block for block in section.build(source) if not is_empty(block)),
    )


def brief(blocks: Iterable[Block]) -> Iterator[Block]:
    """Yield blocks; a table that is too wide has its main columns, and is folded with all."""
    for block in blocks:
        if isinstance(block, Folded):
            yield replace(block, blocks=tuple(brief(block.blocks)))
            continue
        if isinstance(block, Table):
            main = summary.main_columns(block.columns, block.rows)
            if main != block.columns:
                yield replace(block, columns=main)
                whole = replace(block, title=f"{block.title}, all columns")
                yield Folded(summary="All columns", blocks=(whole,))
                continue
        yield block


def flat(blocks: Iterable[Block]) -> Iterator[Block]:
    """Yield blocks and those inside folded ones."""
    for block in blocks:
        yield block
        if isinstance(block, Folded):
            yield from flat(block.blocks)
