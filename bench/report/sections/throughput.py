"""The throughput against the batch size, and where it saturates."""

from collections.abc import Iterator

from bench.report import explanations, saturation
from bench.report.blocks import Block, Prose, Table
from bench.report.section import DataTable, Section, Source
from bench.tables import filled


def _build(source: Source) -> Iterator[Block]:
    yield from source.pictures("throughput-")
    rows = saturation.frame(source.run)
    if not rows.empty:
        yield Table(
            title="Batch size from which throughput is saturated",
            columns=filled(saturation.COLUMNS, rows),
            rows=rows,
        )
        yield Prose(text=explanations.SATURATION)


THROUGHPUT = Section(
    name="throughput",
    title="Throughput against batch size",
    label="Throughput",
    build=_build,
    tables={
        "saturation": DataTable(
            compute=lambda run: (saturation.COLUMNS, saturation.frame(run)), is_optional=True
        )
    },
    order=60,
)
