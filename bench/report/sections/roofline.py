"""Each cell's share of its device's limit, if that was measured."""

from collections.abc import Iterator

from bench.report import explanations, roofline
from bench.report.blocks import Block, Heading, Prose, Table
from bench.report.section import DataTable, Section, Source
from bench.tables import filled


def _build(source: Source) -> Iterator[Block]:
    ceilings, rows = roofline.ceilings(source.run), roofline.frame(source.run)
    if ceilings.empty or rows.empty:
        return
    yield Heading(text="Limits of the device")
    yield Table(
        title="Limits of the device",
        columns=filled(roofline.CEILING_COLUMNS, ceilings),
        rows=ceilings,
    )
    yield Heading(text="Distance of each cell from the limit")
    yield Table(
        title="Distance of each cell from the limit",
        columns=filled(roofline.COLUMNS, rows),
        rows=rows,
    )
    yield from source.pictures("roofline-")
    yield Prose(text=explanations.explain_roofline(source.run))


ROOFLINE = Section(
    name="roofline",
    title="How far from the limit",
    label="Limit",
    build=_build,
    tables={
        "roofline": DataTable(compute=lambda run: (roofline.COLUMNS, roofline.frame(run))),
        "ceilings": DataTable(
            compute=lambda run: (roofline.CEILING_COLUMNS, roofline.ceilings(run)), is_file=False
        ),
    },
    order=90,
)
