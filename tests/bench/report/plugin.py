"""A plugin for tests: a section and a format."""

import json
from collections.abc import Iterator, Mapping

import pandas as pd

from bench import stats
from bench.columns import Column
from bench.records.record import RunRecord
from bench.report.blocks import Block, Prose, Sentences, Table
from bench.report.exports.export import Export, measured
from bench.report.formats.format import Format
from bench.report.section import DataTable, Document, Rows, Section, Source

SENTENCE = "The slowest cell took <b>longest</b> & more."
FILE = "outline.txt"


def _slowest(run: RunRecord) -> Rows:
    column = Column(name="slowest_s", heading="slowest s", write="{:.4f}".format)
    slowest_s = max(max(record.host_s, default=0.0) for record in run.cells)
    return (column,), pd.DataFrame({"slowest_s": [slowest_s]})


def _build(source: Source) -> Iterator[Block]:
    columns, rows = _slowest(source.run)
    yield Sentences(sentences=[SENTENCE])
    yield Table(title="The slowest sample", columns=columns, rows=rows)
    yield Prose(text="This section is a user's own.")


def _outline(document: Document) -> Mapping[str, str]:
    lines = [document.title, *(section.title for section in document.sections)]
    return {FILE: "\n".join(lines)}


def _seconds(run: RunRecord) -> str:
    return json.dumps({each.cell.id: stats.latency(each).estimate for each in measured(run)})


SLOWEST = Section(
    name="slowest",
    title="The slowest sample of all",
    build=_build,
    tables={"slowest": DataTable(compute=_slowest)},
    is_printed=True,
)
SECONDS = Export(name="seconds", what="latencies in seconds", render=_seconds)
OUTLINE = Format(name="outline", render=_outline, paths=lambda: [FILE])
