"""The cost of each factor, and the interactions of two factors."""

from collections.abc import Iterator

from bench.report import ladder_table, summary
from bench.report.blocks import Block, Heading, Prose, Table
from bench.report.section import DataTable, Section, Source

_TEXT = """\
Each step changes one factor, in the same mode; dropouts, which act only in training, change
together with the last pool. Networks that were never alive together are compared through the
reference, set by set. The ratios of latency and images/s are after / before, with the 95 %
interval; Δ ms assumes that the latency before is exact. A step that changes only the code is
marked "same network": its ratio is not the cost of a factor. An interaction is the ratio of both
factors together, divided by the product of the ratios of each alone: 1 if the factors are
independent.
"""


def _build(source: Source) -> Iterator[Block]:
    groups = list(summary.grouped(ladder_table.frame(source.run)))
    squares = ladder_table.interactions(source.run)
    if not groups and squares.empty:
        return
    yield Prose(text=_TEXT)
    for title, rows in groups:
        yield Heading(text=title)
        yield Table(
            title=f"One factor at a time: {title}",
            columns=ladder_table.STEP_COLUMNS,
            rows=ladder_table.for_readers(rows),
        )
        yield from source.picture(f"ladder-{summary.slug(title)}")
    if not squares.empty:
        yield Heading(text="Interactions of two factors")
        yield Table(
            title="Interactions of two factors",
            columns=ladder_table.INTERACTION_COLUMNS,
            rows=squares,
        )


LADDER = Section(
    name="ladder",
    title="One factor at a time",
    label="Factors",
    build=_build,
    tables={
        "ladder": DataTable(
            compute=lambda run: (
                (*ladder_table.GROUP_COLUMNS, *ladder_table.STEP_COLUMNS),
                ladder_table.frame(run),
            ),
            for_readers=ladder_table.for_readers,
        ),
        "interactions": DataTable(
            compute=lambda run: (ladder_table.INTERACTION_COLUMNS, ladder_table.interactions(run))
        ),
    },
    order=50,
)
