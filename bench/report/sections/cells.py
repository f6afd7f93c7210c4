"""All cells with their figures."""

from collections.abc import Iterator

from bench.records.record import RunRecord
from bench.report import frame, ladder_table, summary
from bench.report.blocks import Block, CellTable, Prose
from bench.report.section import DataTable, Rows, Section, Source


def _build(source: Source) -> Iterator[Block]:
    if not source.run.cells:
        yield Prose(text="The run has no cells.")
        return
    ratios, latencies = (
        [picture.chart for picture in source.pictures(prefix)] for prefix in ("ratios-", "latency-")
    )
    yield CellTable(run=source.run, charts=ratios, further=latencies)


def _summary(run: RunRecord) -> Rows:
    rows = frame.summary(run)
    columns = () if rows.empty else summary.shown_columns(run, rows)
    return (*columns[:2], *ladder_table.GROUP_COLUMNS, *columns[2:]), rows


CELLS = Section(
    name="cells",
    title="All cells",
    label="Cells",
    build=_build,
    tables={
        "summary": DataTable(compute=_summary),
        "samples": DataTable(compute=lambda run: ((), frame.samples(run)), is_shown=False),
    },
    is_printed=True,
    order=20,
)
