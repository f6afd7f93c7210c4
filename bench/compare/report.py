"""Render the comparison of two runs that were not measured together."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from bench.cells.cell import Cell
from bench.columns import IN_FULL, Column, filled, scaled
from bench.compare import figures
from bench.compare.comparison import DRIFT, Basis, Compared, Comparison
from bench.compare.figures import Row
from bench.gate.group_sequential import LEAST_EFFECT
from bench.gate.verdict import Verdict
from bench.means import Interval
from bench.records.counted import counter
from bench.records.record import RunRecord
from bench.report.blocks import Block, Heading, Paragraph, Table
from bench.report.formats import markdown, terminal
from bench.tables import FORMATS
from bench.trust import wording

_TOGETHER = (
    "measure both sides in the same sets: googlenet-bench gate --base REV, or --base-python PATH "
    "for another torch."
)
NOT_TOGETHER = (
    "Not measured together: this is advice, because a machine changes from one run to the next. "
    f"To get a verdict, {_TOGETHER}"
)
_DELTA = f"{LEAST_EFFECT * 100:.0f} %"
_DRIFT = f"{DRIFT * 100:.0f} %"
HOW_TO_READ = (
    "B/A above 1: B is slower. The brackets hold the 95 % interval over sets (Welch). regressed: "
    f"significantly slower, corrected for the number of cells, and by {_DELTA} or more. improved: "
    f"significantly faster, likewise. unchanged: not slower by {_DELTA}, at 95 %. inconclusive: "
    "anything else, every cell of a group that a run says not to trust or that was measured under "
    f"load (--foreign-cpus), and every cell if a reference changed by more than {_DRIFT}."
)
BY_LATENCY = (
    "Advice is based on the latency. Machines drift from run to run, so only a significant "
    f"difference of more than {_DRIFT} counts as a change."
)


def render(form: str, compared: Compared, runs: Mapping[str, tuple[Path, RunRecord]]) -> str:
    """Return the whole comparison in one of ``FORMATS``.

    CSV and JSON have rows only; the other formats have prose and tables. ``runs`` holds A and B,
    each with the path that it was read from.
    """
    (_, a), (_, b) = runs.values()
    rows, missing = figures.rows(compared, a, b), figures.missing(compared, a, b)
    if form in {"csv", "json"}:
        return FORMATS[form]((), pd.DataFrame([*rows, *missing]))
    parts = [
        *(Paragraph(text=sentence) for sentence in (NOT_TOGETHER, *_about(compared, runs))),
        *_tables(compared, rows, (a, b)),
        *_missing_table(missing),
        Paragraph(text=_count_by_advice(compared)),
        Paragraph(text=HOW_TO_READ),
    ]
    return (
        markdown.joined(markdown.blocks(parts)) if form == "markdown" else terminal.captured(parts)
    )


def _about(compared: Compared, runs: Mapping[str, tuple[Path, RunRecord]]) -> Iterator[str]:
    """Yield the sentences about the two runs that precede the tables."""
    for name, (path, run) in runs.items():
        commit = str(run.commit_info.get("id") or "")[:12] or "an unknown commit"
        dirty = " with uncommitted changes" if run.commit_info.get("dirty") else ""
        status = "" if run.status == "complete" else f", {run.status.replace('_', ' ')}"
        yield f"{name} is {path}, from {run.datetime[:16]}, {commit}{dirty}{status}."
    ids = {run.run_id for _, run in runs.values()}
    if len(ids) == 1 and "" not in ids:
        yield "A and B are the same run, or one is a part of it: their difference shows nothing."
    if compared.allowed:
        yield f"Allowed to differ: {'; '.join(map(str, compared.allowed))}."
    if compared.unknown:
        yield f"Recorded in only one of the runs, so it may differ: {', '.join(compared.unknown)}."
    counters = [counter(record.cost for record in run.cells) for _, run in runs.values()]
    if all(counters) and counters[0] != counters[1]:
        yield (
            f"MACs were counted by {counters[0]} in A and by {counters[1]} in B; this alone may "
            "explain a difference in MACs."
        )
    if compared.beyond_drift:
        yield _beyond_drift(compared)
    for name, (_, run) in runs.items():
        for sentence in wording.warnings(run):
            yield f"Warning, {name}: {sentence}"


def _beyond_drift(compared: Compared) -> str:
    """Return the sentences on why every verdict is inconclusive and what to do about it."""
    changed = "; ".join(
        f"{_arch_and_mode(comparison.a.cell)} ({_title(comparison)}) takes "
        f"{comparison.latency.estimate:.3f} times as long in B as in A"
        for comparison in compared.beyond_drift
    )
    allowed = ", or an allowed difference affects it" if compared.allowed else ""
    return (
        f"Every verdict is inconclusive because a reference changed by more than the {_DRIFT} that "
        f"machine drift explains: {changed}. The machine is not the same, or the reference's code "
        f"changed{allowed}; these two runs do not show which. To decide, {_TOGETHER}"
    )


def _tables(
    compared: Compared, rows: Sequence[Row], runs: tuple[RunRecord, RunRecord]
) -> Iterator[Block]:
    """Yield a table for each pair of groups: the reference first, then the slowest cells."""
    groups: dict[tuple[str, str], list[tuple[Comparison, Row]]] = {}
    for comparison, row in zip(compared.cells, rows, strict=True):
        groups.setdefault((comparison.a.cell.group, comparison.b.cell.group), []).append(
            (comparison, row)
        )
    for group in groups.values():
        slowest_first = sorted(group, key=lambda pair: -_decisive(pair[0]).estimate)
        slowest_first.sort(key=lambda pair: not pair[0].is_reference)
        comparisons = [comparison for comparison, _ in slowest_first]
        table = pd.DataFrame(
            _display_row(comparison, row, runs) for comparison, row in slowest_first
        )
        columns = filled(_columns(comparisons, runs), table)
        title = _title(comparisons[0])
        yield Heading(text=title)
        yield Paragraph(text=_basis(compared, comparisons))
        yield Table(title="", columns=columns, rows=table)


def _decisive(comparison: Comparison) -> Interval:
    return comparison.ratio if comparison.basis is Basis.RATIO else comparison.latency


def _display_row(comparison: Comparison, row: Row, runs: Sequence[RunRecord]) -> Row:
    """Return a row for display: each figure once if the runs agree, else as "A → B"."""
    return {
        **row,
        "arch": comparison.a.cell.arch,
        "mode": comparison.a.cell.mode,
        **{
            metric.name: metric.change(
                row[f"{metric.name}_a"],
                row[f"{metric.name}_b"],
                are_bounds=(
                    bool(row.get(f"{metric.at_least}_a")),
                    bool(row.get(f"{metric.at_least}_b")),
                ),
            )
            for metric in figures.shown(runs)
        },
    }


def _columns(group: Sequence[Comparison], runs: Sequence[RunRecord]) -> tuple[Column, ...]:
    reference = next(
        (_arch_and_mode(comparison.reference) for comparison in group if comparison.reference), ""
    )
    ratio = Column(
        name="ratio_b_over_a",
        heading=f"B/A, ratio to\n{reference}",
        write=scaled(1, 3),
        bounded=True,
        neutral=1.0,
    )
    latency = replace(ratio, name="latency_b_over_a", heading="B/A,\nlatency")
    first, second = (ratio, latency) if _is_based_on_ratio(group) else (latency, ratio)
    return (
        Column(name="arch", heading="arch", is_text=True),
        Column(name="mode", heading="mode", is_text=True),
        Column(name="advice", heading="advice", is_text=True),
        first,
        replace(second, rank=IN_FULL),
        *(
            Column(
                name=metric.name,
                heading=metric.column(runs[0]).heading,
                rank=IN_FULL if metric.rank else 0,
            )
            for metric in figures.shown(runs)
        ),
    )


def _is_based_on_ratio(group: Sequence[Comparison]) -> bool:
    return any(comparison.basis is Basis.RATIO for comparison in group)


def _arch_and_mode(cell: Cell) -> str:
    return f"{cell.arch} {cell.label}"


def _title(comparison: Comparison) -> str:
    """Return the dtype, batch size, task and device of a table's cells; "A → B" if they differ."""
    a, b = comparison.a.cell, comparison.b.cell
    dtype = () if a.across_dtypes else (("", "dtype"),)  # the rows say it
    return ", ".join(
        prefix + " → ".join(dict.fromkeys(str(getattr(cell, name)) for cell in (a, b)))
        for prefix, name in (*dtype, ("batch ", "batch_size"), ("", "task"), ("", "device"))
    )


def _basis(compared: Compared, group: Sequence[Comparison]) -> str:
    """Return the sentences on what the advice in a table is based on, and why."""
    if not _is_based_on_ratio(group):
        if compared.beyond_drift:
            return "All cells are inconclusive because a reference changed by more than drift."
        differ = compared.allowed or group[0].a.cell != group[0].b.cell
        why = (
            "The differences between the runs affect the reference too."
            if differ
            else "The runs have no measured reference in common, or the group has no other cells."
        )
        return f"{why} {BY_LATENCY}"
    reference = next(comparison for comparison in group if comparison.is_reference)
    ratio = (
        f"the ratio to {_arch_and_mode(reference.a.cell)}, which itself takes "
        f"{reference.latency.estimate:.3f} times as long in B as in A"
    )
    if compared.beyond_drift:
        return (
            "All cells are inconclusive because a reference changed by more than drift. The table "
            f"shows {ratio}."
        )
    return f"Advice is based on {ratio}: this is attributed to the machine's drift."


def _missing_table(rows: Sequence[Row]) -> Iterator[Block]:
    if rows:
        columns = tuple(
            Column(name=name, heading=name, is_text=True, wraps=name == "reason")
            for name in ("cell", "status", "reason")
        )
        yield Heading(text="not compared")
        yield Paragraph(text="These cells do not have figures in both runs.")
        yield Table(title="", columns=columns, rows=pd.DataFrame(rows))


def _count_by_advice(compared: Compared) -> str:
    """Return the sentence with the number of cells per advice."""
    count = Counter(comparison.advice for comparison in compared.cells)
    words = [f"{count[advice]} {advice or 'reference'}" for advice in (*Verdict, None)]
    counts = ", ".join(word for word in words if not word.startswith("0 "))
    return f"Cells compared: {counts or 'none'}."
