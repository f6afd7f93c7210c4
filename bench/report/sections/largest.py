"""The largest batch that fits, in a run with ``--fit``."""

from collections.abc import Iterator

from bench.report import explanations, largest
from bench.report.blocks import Block, Prose, Table
from bench.report.section import DataTable, Section, Source
from bench.tables import filled


def _build(source: Source) -> Iterator[Block]:
    rows = largest.frame(source.run)
    if not rows.empty:
        yield Table(
            title="The largest batch that fits", columns=filled(largest.COLUMNS, rows), rows=rows
        )
        yield Prose(text=explanations.LARGEST)


LARGEST = Section(
    name="largest",
    title="The largest batch that fits",
    label="Largest batch",
    build=_build,
    tables={
        "fit": DataTable(
            compute=lambda run: (largest.COLUMNS, largest.frame(run)), is_optional=True
        )
    },
    order=70,
)
