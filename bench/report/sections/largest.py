"""The largest batch that fits, in a run with ``--fit``."""

from collections.abc import Iterator

from bench.columns import filled
from bench.report import largest
from bench.report.blocks import Block, Prose, Table
from bench.report.section import DataTable, Section, Source

_TEXT = """\
Each size was tried in a fresh worker, alone on its device: three iterations on one batch of random
images, without checks. Sizes were doubled until one did not fit; then the gap was halved until it
was at most a thirty-second of the size. A batch that fits here may not fit in a measurement: there,
a cell is alive together with its control and the reference, and its output is checked against that
of fp32 eager, which also needs memory.
"""


def _build(source: Source) -> Iterator[Block]:
    rows = largest.frame(source.run)
    if not rows.empty:
        yield Table(
            title="The largest batch that fits", columns=filled(largest.COLUMNS, rows), rows=rows
        )
        yield Prose(text=_TEXT)


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
