"""Advice on two runs that were not measured together, as it is shown."""

import textwrap
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from bench.cells.cell import Cell
from bench.gate import figures
from bench.gate.comparison import DRIFT, Basis, Compared, Comparison
from bench.gate.figures import FIGURES, Row
from bench.gate.judge import LEAST_EFFECT
from bench.gate.verdict import Verdict
from bench.means import Interval
from bench.records.counted import counter
from bench.records.record import RunRecord
from bench.report import trust
from bench.tables import FORMATS, IN_FULL, Column, escaped, filled, scaled, terminal_console

_TOGETHER = (
    "measure both sides in the same sets: nox -s gate -- --base REV, or --base-python PATH for "
    "another torch."
)
NOT_TOGETHER = (
    "Not measured together: this is advice, as a machine is not the same from one run to the next. "
    f"To be sure, {_TOGETHER}"
)
_DELTA = f"{LEAST_EFFECT * 100:.0f} %"
_DRIFT = f"{DRIFT * 100:.0f} %"
HOW_TO_READ = (
    "B/A over 1 is slower in B; in brackets the 95 % interval over sets (Welch). regressed: slower "
    f"for sure, with all cells compared in mind, and by {_DELTA} or more; improved: the mirror "
    f"image; unchanged: not slower by {_DELTA}, at 95 %; inconclusive: anything else, whatever a "
    f"run says not to trust, and every cell where a reference changed by more than {_DRIFT}."
)
BY_LATENCY = (
    "Advice goes by the latency, and machines drift from run to run: only what is sure to be more "
    f"than {_DRIFT} counts as a change."
)


class AdviceTable(NamedTuple):
    """A table with its title, and what to know of it."""

    title: str
    about: str
    columns: tuple[Column, ...]
    rows: pd.DataFrame


def render(form: str, compared: Compared, runs: Mapping[str, tuple[Path, RunRecord]]) -> str:
    """All that can be said, in one of ``FORMATS``: rows for programs, prose and tables for people.

    ``runs`` holds A and B, and where they were read from.
    """
    (_, a), (_, b) = runs.values()
    rows, missing = figures.rows(compared, a, b), figures.missing(compared, a, b)
    if form in {"csv", "json"}:
        return FORMATS[form]((), pd.DataFrame([*rows, *missing]))
    return _written(
        form,
        [NOT_TOGETHER, *_about(compared, runs)],
        [*_tables(compared, rows), *_missing_table(missing)],
        [_counted(compared), HOW_TO_READ],
    )


def _about(compared: Compared, runs: Mapping[str, tuple[Path, RunRecord]]) -> Iterator[str]:
    """What to know of the two runs before reading on."""
    for name, (path, run) in runs.items():
        commit = str(run.commit_info.get("id") or "")[:12] or "an unknown commit"
        dirty = " with uncommitted changes" if run.commit_info.get("dirty") else ""
        partial = "" if run.status == "complete" else f", {run.status.replace('_', ' ')}"
        yield f"{name} is {path}, of {run.datetime[:16]}, {commit}{dirty}{partial}."
    if compared.passed:
        yield f"Allowed to differ: {'; '.join(map(str, compared.passed))}."
    if compared.unknown:
        yield f"Only one of the runs tells, so that it may differ: {', '.join(compared.unknown)}."
    counters = [counter(record.cost for record in run.cells) for _, run in runs.values()]
    if all(counters) and counters[0] != counters[1]:
        yield (
            f"MACs were counted by {counters[0]} in A and by {counters[1]} in B, which alone may "
            "explain a difference in MACs."
        )
    if compared.beyond_drift:
        yield _beyond_drift(compared)
    for name, (_, run) in runs.items():
        for sentence in trust.warnings(run):
            yield f"Warning, {name}: {sentence}"


def _beyond_drift(compared: Compared) -> str:
    """Why every verdict is inconclusive, and what to do."""
    changed = "; ".join(
        f"{_named(found.a.cell)} ({_title(found)}) takes {found.latency.estimate:.3f} times as "
        "long in B as in A"
        for found in compared.beyond_drift
    )
    allowed = ", or what was allowed to differ acts on it" if compared.passed else ""
    return (
        f"Every verdict is inconclusive, because a reference changed by more than the {_DRIFT} "
        f"that a machine drifts: {changed}. The machine is not the same, or the reference's code "
        f"changed{allowed}; these two runs cannot tell which. To decide, {_TOGETHER}"
    )


def _tables(compared: Compared, rows: Sequence[Row]) -> Iterator[AdviceTable]:
    """A table for each pair of groups, the reference first, then the slowest."""
    groups: dict[tuple[str, str], list[tuple[Comparison, Row]]] = {}
    for found, row in zip(compared.cells, rows, strict=True):
        groups.setdefault((found.a.cell.group, found.b.cell.group), []).append((found, row))
    for group in groups.values():
        slowest_first = sorted(group, key=lambda pair: -_decisive(pair[0]).estimate)
        slowest_first.sort(key=lambda pair: not pair[0].is_reference)
        comparisons = [found for found, _ in slowest_first]
        shown = pd.DataFrame(_shown(found, row) for found, row in slowest_first)
        columns = filled(_columns(comparisons), shown)
        yield AdviceTable(_title(comparisons[0]), _basis(compared, comparisons), columns, shown)


def _decisive(found: Comparison) -> Interval:
    return found.ratio if found.basis is Basis.RATIO else found.latency


def _shown(found: Comparison, row: Row) -> Row:
    """A row as a person reads it: one figure for both runs, or the one before and after."""
    return {
        **row,
        "arch": found.a.cell.arch,
        "mode": found.a.cell.mode,
        **{figure.name: figures.change(figure, row) for figure in FIGURES},
    }


def _columns(group: Sequence[Comparison]) -> tuple[Column, ...]:
    to = next((_named(found.reference) for found in group if found.reference), "")
    ratio = Column(
        name="ratio_b_over_a", heading=f"B/A beside\n{to}", write=scaled(1, 3), bounded=True
    )
    latency = replace(ratio, name="latency_b_over_a", heading="B/A of\nlatency")
    first, second = (ratio, latency) if _goes_by_ratio(group) else (latency, ratio)
    return (
        Column(name="arch", heading="arch", is_text=True),
        Column(name="mode", heading="mode", is_text=True),
        Column(name="advice", heading="advice", is_text=True),
        first,
        replace(second, rank=IN_FULL),
        *(
            Column(
                name=figure.name,
                heading=figure.heading,
                rank=0 if figure == FIGURES[0] else IN_FULL,
            )
            for figure in FIGURES
        ),
    )


def _goes_by_ratio(group: Sequence[Comparison]) -> bool:
    return any(found.basis is Basis.RATIO for found in group)


def _named(cell: Cell) -> str:
    return f"{cell.arch} {cell.mode}"


def _title(found: Comparison) -> str:
    """What a table's cells have in common, and what not."""
    a, b = found.a.cell, found.b.cell
    return ", ".join(
        prefix + " → ".join(dict.fromkeys(str(getattr(cell, name)) for cell in (a, b)))
        for prefix, name in (("", "dtype"), ("batch ", "batch_size"), ("", "task"), ("", "device"))
    )


def _basis(compared: Compared, group: Sequence[Comparison]) -> str:
    """What the advice in a table goes by, and why."""
    if not _goes_by_ratio(group):
        if compared.beyond_drift:
            return "All is inconclusive, because a reference changed by more than drift."
        differ = compared.passed or group[0].a.cell != group[0].b.cell
        why = (
            "What differs between the runs acts on the reference too."
            if differ
            else "The runs have no measured reference in common, or nothing beside it."
        )
        return f"{why} {BY_LATENCY}"
    reference = next(found for found in group if found.is_reference)
    ratio = (
        f"the ratio to {_named(reference.a.cell)}, which itself takes "
        f"{reference.latency.estimate:.3f} times as long in B as in A"
    )
    if compared.beyond_drift:
        return (
            "All is inconclusive, because a reference changed by more than drift. The table shows "
            f"{ratio}."
        )
    return f"Advice goes by {ratio}: that is taken for the machine's drift."


def _missing_table(rows: Sequence[Row]) -> Iterator[AdviceTable]:
    if rows:
        columns = tuple(
            Column(name=name, heading=name, is_text=True, wraps=name == "reason")
            for name in ("cell", "status", "reason")
        )
        yield AdviceTable(
            "not compared",
            "For want of figures in both runs.",
            columns,
            pd.DataFrame(rows),
        )


def _counted(compared: Compared) -> str:
    """How many cells were advised what."""
    count = Counter(found.advice for found in compared.cells)
    words = [f"{count[advice]} {advice or 'reference'}" for advice in (*Verdict, None)]
    told = ", ".join(word for word in words if not word.startswith("0 "))
    return f"Cells compared: {told or 'none'}."


def _written(
    form: str, before: Sequence[str], tables: Sequence[AdviceTable], after: Sequence[str]
) -> str:
    """Everything, for a terminal or in Markdown."""
    in_markdown = form == "markdown"
    prose = escaped if in_markdown else partial(textwrap.fill, width=terminal_console().width)
    parts = [*map(prose, before)]
    for table in tables:
        parts += [
            f"## {escaped(table.title)}" if in_markdown else f"\n{table.title}",
            prose(table.about),
            FORMATS[form](table.columns, table.rows),
        ]
    return ("\n\n" if in_markdown else "\n").join([*parts, *map(prose, after)])
