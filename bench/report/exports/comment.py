"""A short report for the comment of a pull request, in GitHub's Markdown, without charts.

GitHub refuses comments of more than 65,536 characters, so parts that do not fit are left out and
named.
"""

from collections.abc import Iterator

from bench.errors import RequestError
from bench.records.record import RunRecord
from bench.report import frame, sections, summary
from bench.report.exports.export import Export
from bench.report.formats import markdown
from bench.report.phrases import shortened_list
from bench.report.section import Document, Source
from bench.tables import as_markdown, escaped
from bench.units import counted

LIMIT_BYTES = 65_536
"""GitHub's limit is one of characters, of which there are never more than bytes."""
SECTIONS = ("findings", "validity")
"""Names of the sections that follow the tables, in this order."""
_RESERVED_BYTES = 512  # for the sentence on what is left out
_BETWEEN_BYTES = 2  # of the blank line after each part


def render(run: RunRecord) -> str:
    """Return the comment. Raises ``RequestError`` for a gate, which has its own."""
    if run.gate is not None:
        raise RequestError(
            "the run is a gate's: gate.md, in the folder of its reports, is made for a comment"
        )
    document = sections.document(Source(run=run))
    kept: list[str] = []
    left_out: list[str] = []
    room_bytes = LIMIT_BYTES - _RESERVED_BYTES
    for name, part in _parts(document):
        size_bytes = len(part.encode()) + _BETWEEN_BYTES
        if size_bytes > room_bytes:
            left_out.append(name)
            continue
        room_bytes -= size_bytes
        kept.append(part)
    if left_out:
        kept.append(_left_out(left_out))
    return markdown.joined(kept).rstrip("\n")


def _parts(document: Document) -> Iterator[tuple[str, str]]:
    """Yield the name and the Markdown of each part, the most important first."""
    yield "the title", f"## {escaped(document.title)}"
    announced = {notice.text for notice in document.notices}
    for notice in document.notices:
        yield notice.label, markdown.notice(notice)
    for sentence in document.lead:
        if sentence not in announced:
            yield "a sentence", escaped(sentence)
    yield "facts about the run", escaped(" · ".join(document.about))
    yield from _tables(document.run)
    by_name = {section.name: section for section in document.sections}
    for section in filter(None, map(by_name.get, SECTIONS)):
        content = markdown.joined(markdown.blocks(section.blocks))
        yield section.title, markdown.folded(escaped(section.title), content)


def _tables(run: RunRecord) -> Iterator[tuple[str, str]]:
    """Yield the failed cells, and the main columns of each group."""
    failed = frame.failures(run)
    if not failed.empty:
        name = f"{counted(len(failed), 'cell')} without figures"
        yield name, markdown.folded(name, as_markdown(frame.FAILURE_COLUMNS, failed))
    for title, rows in summary.groups(frame.summary(run)):
        columns = summary.main_columns(summary.shown_columns(run, rows), rows)
        yield title, markdown.folded(escaped(title), as_markdown(columns, rows))


def _left_out(names: list[str]) -> str:
    return (
        f"{counted(len(names), 'part')} would not fit into a comment on GitHub: "
        f"{escaped(shortened_list(names))}. The complete report is report.md."
    )


COMMENT = Export(
    name="comment", what="Markdown for a pull request's comment on GitHub", render=render
)
