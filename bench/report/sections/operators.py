"""What holds the rest: the time by operator of each profiled cell, beside the roofline."""

from collections.abc import Hashable, Iterator, Mapping
from typing import Any

import pandas as pd

from bench.columns import Column, filled
from bench.executors.profiled import ITERATIONS
from bench.records.record import RunRecord
from bench.report import operators, summary
from bench.report.blocks import Block, Folded, Heading, Prose, Sentences, Table
from bench.report.section import DataTable, Section, Source

_MOST_ROWS = 12  # of an iteration's operators; operators.csv has more
_TEXT = f"""\
Times by operator come from the profiler of each cell's own library: torch.profiler, ONNX Runtime's
profiler, and OpenVINO's performance counters. They profile {ITERATIONS} iterations after the
rounds of the first set, so they are in no latency. They are one sample, without an interval. A
profiler takes time itself, and the times are not scaled: compare the profiled iteration with the
latency. The further "profiled / latency" is from 1, the less the times say of the real iteration;
above all, many short operators look too slow. ONNX Runtime and OpenVINO run a second copy
of the network, which was prepared for the profiler.

The time of an operator is without that of the operators that it calls. On a CPU it is the time on
the calling thread; on CUDA it is that of kernels. What is "not attributed" lies between operators:
Python, waits, and the profiler. On a CPU, Inductor's generated kernels have no names: their time is
in "CompiledFxGraph". OpenVINO and ONNX Runtime fuse activations and additions into convolutions.

"At the peak" is the time of the cell's multiply-accumulates at the best rate that was measured of
this device (`--ceiling`, see the limits). "Times the peak's" is the time of convolutions and
products divided by it: what faster ones could gain. Below 1, the library needs fewer
multiplications than were counted (as Winograd's algorithm does), or it computes a part in an
operator of another category.
"""


def _build(source: Source) -> Iterator[Block]:
    run = source.run
    if problems := _problems(run):
        yield Sentences(sentences=problems)
    if operators.balance(run).empty:
        return
    for title, rows in summary.grouped(operators.balance(run)):
        yield Table(
            title=f"Time of the profiled cells: {title}",
            columns=filled(operators.BALANCE_COLUMNS, rows),
            rows=rows,
        )
    yield from source.pictures("operators-")
    main, tables = _main(run), dict(_tables(run))
    for title in filter(main.__contains__, tables):
        yield from _titled(title, tables[title])
    slower = [
        block for title in tables if title not in main for block in _titled(title, tables[title])
    ]
    yield Folded(summary="Operators of PyTorch's slower modes", blocks=slower)
    yield Folded(summary="How operators are timed", blocks=(Prose(text=_TEXT),))


def _problems(run: RunRecord) -> list[str]:
    return [
        f"{record.cell.name} ({record.cell.group}) has no times by operator: {reason}."
        for record, reason in operators.unknown(run)
    ]


def _main(run: RunRecord) -> set[str]:
    balance = operators.balance(run)
    return {_title(row) for row in balance[balance["is_main"]].to_dict("records")}


def _tables(run: RunRecord) -> Iterator[tuple[str, Table]]:
    """Yield the title and the table of each profiled cell."""
    names = [*(column.name for column in operators.CELL_COLUMNS), *summary.GROUPED_BY]
    for _, rows in operators.frame(run).groupby(names, sort=False):
        title = _title(rows.to_dict("records")[0])
        yield title, Table(title=title, columns=operators.OPERATOR_COLUMNS, rows=_shortened(rows))


def _titled(title: str, table: Table) -> tuple[Block, ...]:
    return Heading(text=title), table


def _title(row: Mapping[Hashable, Any]) -> str:
    group = summary.title(*(row[name] for name in summary.GROUPED_BY))
    return f"Operators of {row['arch']} in {row['mode']}, {group}"


def _shortened(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the slowest operators, one row for all others, and what is not attributed."""
    is_known = rows["category"] != operators.NOT_ATTRIBUTED
    shown, others = rows[is_known][:_MOST_ROWS], rows[is_known][_MOST_ROWS:]
    if others.empty:
        return rows
    sums = others[["calls", "time_s", "share"]].sum().to_frame().T
    sums["operator"], sums["category"] = "(others)", "several"
    return pd.concat([shown, sums, rows[~is_known]], ignore_index=True)


def _data(run: RunRecord) -> tuple[tuple[Column, ...], pd.DataFrame]:
    return operators.COLUMNS, operators.frame(run)


OPERATORS = Section(
    name="operators",
    title="What holds the rest",
    label="Operators",
    build=_build,
    tables={"operators": DataTable(compute=_data, is_optional=True)},
    order=95,
)
