"""The throughput against the batch size, and where it saturates."""

from collections.abc import Iterator

from bench.columns import filled
from bench.report import saturation
from bench.report.blocks import Block, Prose, Table
from bench.report.section import DataTable, Section, Source

_TEXT = """\
"Saturated" is the smallest batch whose throughput is within 5 % of the best measured one. The share
of the best is computed within each set, and its interval over the sets. The result holds by the
intervals if the batch's own interval is entirely above 95 % and no smaller batch's interval reaches
95 %; otherwise it holds by the estimates alone. Neither is proof. Batch sizes are measured minutes
apart within a set, so only drift slower than a set cancels. The best is picked from the same
figures, so it is rather too high, and the shares are too low.
"""


def _build(source: Source) -> Iterator[Block]:
    yield from source.pictures("throughput-")
    rows = saturation.frame(source.run)
    if not rows.empty:
        yield Table(
            title="Batch size from which throughput is saturated",
            columns=filled(saturation.COLUMNS, rows),
            rows=rows,
        )
        yield Prose(text=_TEXT)


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
