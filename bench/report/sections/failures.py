"""The cells without figures, and why."""

from collections.abc import Iterator

from bench.report import frame
from bench.report.blocks import Block, Table, Verbatim
from bench.report.section import DataTable, Section, Source


def _build(source: Source) -> Iterator[Block]:
    failed = frame.failures(source.run)
    yield Table(title="Cells without figures", columns=frame.FAILURE_COLUMNS, rows=failed)
    for cell, stderr in zip(failed["cell"], failed["stderr"], strict=True):
        if stderr:
            yield Verbatim(label=f"stderr of {cell}", text=stderr, is_long=True)


FAILURES = Section(
    name="failures",
    title="Cells without figures",
    label="Failures",
    build=_build,
    tables={
        "failures": DataTable(
            compute=lambda run: (frame.FAILURE_COLUMNS, frame.failures(run)), is_file=False
        )
    },
    order=10,
)
