"""Markdown for GitHub. Text from a run is escaped, so that it cannot change the document."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import assert_never

from bench.report import circumstances, frame, summary
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
from bench.report.chart import Chart
from bench.report.formats.format import Format
from bench.report.section import Document
from bench.tables import as_markdown, escaped

FILE = "report.md"
STATUS = {
    status: f"**Partial:** {why}" if why else "" for status, why in circumstances.PARTIAL.items()
}


def render(document: Document) -> Mapping[str, str]:
    """Return the report. Charts are the files ``charts/NAME.svg`` beside it."""
    announced = {each.text for each in document.notices}
    parts = [
        f"# {escaped(document.title)}",
        *map(notice, document.notices),
        *(escaped(sentence) for sentence in document.lead if sentence not in announced),
        escaped(" · ".join(document.about)),
    ]
    for section in document.sections:
        parts += [f"## {escaped(section.title)}", *blocks(section.blocks)]
    return {FILE: joined(parts)}


def joined(parts: Iterable[str]) -> str:
    """Return parts of a document, separated by blank lines."""
    return "\n\n".join(part.strip() for part in parts if part) + "\n"


def blocks(parts: Iterable[Block]) -> Iterator[str]:
    """Yield each block in Markdown, except notices, which come first in a document."""
    for block in parts:
        match block:
            case Heading(text=text):
                yield f"### {escaped(text)}"
            case Paragraph(text=text):
                yield escaped(text)
            case Prose(text=text):
                yield text
            case Sentences(sentences=sentences):
                yield "\n".join(f"- {escaped(sentence)}" for sentence in sentences)
            case Terms(terms=terms):
                yield "\n".join(f"- **{escaped(term)}**: {text}" for term, text in terms)
            case Checks(checks=checks):
                yield "\n".join(
                    f"- **{check.count} of {check.total}** {check.text}" for check in checks
                )
            case Table(columns=columns, rows=rows):
                yield as_markdown(columns, rows)
            case CellTable():
                yield from _cells(block)
            case Picture(chart=chart):
                yield _picture(chart)
            case Verbatim(label=label, text=text, is_long=False):
                yield f"{escaped(label)}: {_code(text)}."
            case Verbatim(label=label, text=text):
                yield folded(escaped(label), fenced(text))
            case Folded(summary=label, blocks=inner):
                yield folded(escaped(label), joined(blocks(inner)))
            case Notice():
                pass
            case _:
                assert_never(block)


def folded(summary_line: str, content: str) -> str:
    """Return Markdown that is hidden until a reader opens it."""
    return f"<details><summary>{summary_line}</summary>\n\n{content.strip()}\n\n</details>"


def notice(shown: Notice) -> str:
    """Return the sentence of a notice, with its label."""
    return f"**{escaped(shown.label)}:** {escaped(shown.text)}"


def _cells(table: CellTable) -> Iterator[str]:
    """Yield the charts and the table of each group of measured cells."""

    def pictures(charts: Sequence[Chart], title: str) -> Iterator[str]:
        name = f"-{summary.slug(title)}"
        return (_picture(chart) for chart in charts if chart.name.endswith(name))

    for title, rows in summary.groups(frame.summary(table.run)):
        yield f"### {escaped(title)}"
        yield from pictures(table.charts, title)
        columns = summary.shown_columns(table.run, rows)
        yield as_markdown(main := summary.main_columns(columns, rows), rows)
        if main != columns:
            yield folded("All columns", as_markdown(columns, rows))
        yield from pictures(table.further, title)


def _picture(chart: Chart) -> str:
    image = f"![{escaped(chart.title)}](charts/{chart.name}.svg)"
    return image if chart.is_caption_repeated else f"{image}\n\n*{escaped(chart.caption)}*"


def fenced(text: str, language: str = "") -> str:
    """Return ``text`` in a code fence that the text cannot close."""
    fence = _backticks(text, least=3)
    return f"{fence}{language}\n{text}\n{fence}"


def _code(text: str) -> str:
    """Return ``text`` as a code span that the text cannot close."""
    quote = _backticks(text, least=1)
    inside = " ".join(text.split())
    return f"{quote} {inside} {quote}" if "`" in text else f"{quote}{inside}{quote}"


def _backticks(text: str, *, least: int) -> str:
    """Return at least ``least`` backticks, and more in a row than the text contains."""
    longest = max(map(len, re.findall("`+", text)), default=0)
    return "`" * max(least, longest + 1)


MARKDOWN = Format(name="markdown", render=render, paths=lambda: [FILE])
