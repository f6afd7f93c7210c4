"""Each cell's share of its device's limit, if that was measured."""

from collections.abc import Iterator

from bench.columns import filled
from bench.records.record import RunRecord
from bench.report import roofline
from bench.report.blocks import Block, Heading, Prose, Table
from bench.report.section import DataTable, Section, Source

_TEXT = """\
The ceiling of a dtype is the best rate of large matrix products and convolutions in PyTorch's own
library, in either memory format, with the workers' number of threads, measured before the first set
(on a GPU, several calls together, without the gap before a launch). {rate}. The attainable rate is
the ceiling or, if that is less, the bandwidth of large copies (bytes read and written) times the
cell's MACs per byte that it must move at least: its weights read once, and the outputs of its
convolutions and products written once and read once.
The table names the lower of the two. A cell far below it is limited by something else.

A share over 100 % means that the machine was slower while its ceiling was measured than while the
cell was; or, if the cell is bound by memory, that its activations stayed in a cache.
"""
_RATE = """\
A cell's rate is its multiply-accumulates divided by its latency, with the 95 % interval of the
latency"""
_RATE_OF_BLOCKS = """\
A cell's rate is its multiply-accumulates per image times its images/s, with the 95 % interval of
images/s. That is measured in back-to-back blocks if there are any (in which nothing empties the L2
cache), else computed from the host latency"""


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
    yield Prose(text=explain(source.run))


def explain(run: RunRecord) -> str:
    """Explain the ceiling, the rate (from the times that this run has) and the attainable rate."""
    return _TEXT.format(rate=_RATE_OF_BLOCKS if run.has_blocks else _RATE)


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
