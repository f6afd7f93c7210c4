"""The terminal: the sections that are printed after a run."""

from collections.abc import Iterable, Iterator
from typing import assert_never

from rich.console import Console, RenderableType
from rich.text import Text

from bench.records.record import RunRecord
from bench.report import frame, sections, summary
from bench.report.blocks import (
    Block,
    CellTable,
    Checks,
    Folded,
    Heading,
    Notice,
    Paragraph,
    Picture,
    Prose,
    Sentences,
    Table,
    Terms,
    Verbatim,
)
from bench.report.section import Source, build
from bench.tables import fitted, terminal_console


def printed(run: RunRecord, console: Console) -> Iterator[RenderableType]:
    """Yield the sections of a run's report that are printed, in the width of the console."""
    for section in sections.ordered():
        if section.is_printed:
            yield from blocks(build(section, Source(run=run)).blocks, console)


def captured(parts: Iterable[Block]) -> str:
    """Return blocks as text, in the width of the terminal."""
    console = terminal_console()
    with console.capture() as capture:
        for part in blocks(parts, console):
            console.print(part)
    return capture.get().rstrip("\n")


def blocks(parts: Iterable[Block], console: Console) -> Iterator[RenderableType]:
    """Yield each block for a terminal, except pictures."""
    for block in parts:
        match block:
            case Heading(text=text):
                yield Text(f"\n{text}", style="bold")
            case Prose(text=text) | Paragraph(text=text):
                for paragraph in text.strip().split("\n\n"):
                    yield Text(" ".join(paragraph.split()))
            case Sentences(sentences=sentences):
                yield from (Text(f"• {sentence}") for sentence in sentences)
            case Terms(terms=terms):
                yield from (Text(f"{term}: {text}") for term, text in terms)
            case Checks(checks=checks):
                yield from (Text(f"{each.count} of {each.total} {each.text}") for each in checks)
            case Notice(label=label, text=text) | Verbatim(label=label, text=text):
                yield Text(f"{label}: {text}")
            case Table(title=title, columns=columns, rows=rows):
                yield fitted(console, columns, rows, title)
            case CellTable(run=run):
                for title, rows in summary.groups(frame.summary(run)):
                    columns = summary.main_columns(summary.shown_columns(run, rows), rows)
                    yield fitted(console, columns, rows, title)
            case Folded(blocks=inner):
                yield from blocks(inner, console)
            case Picture():
                pass
            case _:
                assert_never(block)
