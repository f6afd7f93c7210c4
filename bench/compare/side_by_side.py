"""Several runs side by side: machines, dtypes or versions that were not measured together. Pure.

The ratios of each run are to its own reference, so the drift within a run cancels. The difference
between the latencies of two runs also contains the drift between them.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from bench import metrics
from bench.columns import Column
from bench.metrics.metric import Metric, Place
from bench.records.comparability import CIRCUMSTANCES
from bench.records.record import RunRecord
from bench.report import frame
from bench.report.blocks import Block, Heading, Prose, Sentences, Table
from bench.report.formats import markdown
from bench.tables import escaped

KEY = ("arch", "mode", "dtype", "batch_size", "task", "device")
INTRODUCTION = """\
These runs were **not measured together**: the difference between two latencies contains everything
that changed between the runs, including the machine's drift, and no interval shows that. You can
compare the ratios, because each is to the run's own reference, measured moments apart. The 95 %
intervals are in brackets.
"""


def tidy(runs: Mapping[str, RunRecord]) -> pd.DataFrame:
    """Return a row for each run and cell; the first column is the run's label."""
    tables = {label: frame.summary(run) for label, run in runs.items()}
    for label, table in tables.items():
        table.insert(0, "run", label)
    return pd.concat(tables.values(), ignore_index=True)


def wide(runs: Mapping[str, RunRecord]) -> tuple[tuple[Column, ...], pd.DataFrame]:
    """Return the columns, and a row for each measured cell with the figures of every run.

    If the runs differ in dtype or device, cells that differ only in these share a row.
    """
    tables = {label: _measured(run) for label, run in runs.items()}
    key = [name for name in KEY if _is_shared(name, list(tables.values()))]
    rows: dict[tuple[Any, ...], dict[str, Any]] = {}
    for index, table in enumerate(tables.values()):
        for row in table.to_dict("records"):
            of_cell = rows.setdefault(tuple(row[name] for name in key), {n: row[n] for n in key})
            for metric in _metrics(runs):
                for end in ("", "_low", "_high"):
                    name = f"{metric.name}@{index}{end}"
                    of_cell[name] = row.get(f"{metric.name}{end}")
                if metric.at_least:
                    of_cell[f"{metric.at_least}@{index}"] = row.get(metric.at_least)
    return _columns(key, runs), pd.DataFrame(list(rows.values()))


def differences(runs: Mapping[str, RunRecord]) -> pd.DataFrame:
    """Return a row for each circumstance in which the runs differ, and a column for each run."""
    all_facts = {label: _circumstances(run) for label, run in runs.items()}
    names = dict.fromkeys(name for facts in all_facts.values() for name in facts)
    return pd.DataFrame(
        [
            {"what": name}
            | {str(index): facts.get(name) for index, facts in enumerate(all_facts.values())}
            for name in names
            if len({str(facts.get(name)) for facts in all_facts.values()}) > 1
        ],
        columns=["what", *map(str, range(len(runs)))],
    )


def render(runs: Mapping[str, RunRecord]) -> str:
    """Return the comparison in Markdown."""
    columns, table = wide(runs)
    title = f"# {escaped(', '.join(runs))}: side by side"
    return markdown.joined([title, *markdown.blocks(_blocks(runs, columns, table))])


def _blocks(
    runs: Mapping[str, RunRecord], columns: tuple[Column, ...], table: pd.DataFrame
) -> Iterator[Block]:
    yield Prose(text=INTRODUCTION)
    differing = differences(runs)
    if not differing.empty:
        headings = {"what": "what", **{str(index): label for index, label in enumerate(runs)}}
        columns_of_runs = tuple(
            Column(name=name, heading=heading, is_text=True) for name, heading in headings.items()
        )
        yield Heading(text="Differences in circumstances")
        yield Table(title="", columns=columns_of_runs, rows=differing)
    yield Heading(text="Cells")
    yield Table(title="", columns=columns, rows=table)
    references = {label: ", ".join(_references(run)) for label, run in runs.items()}
    yield Sentences(
        sentences=[f"{label}: × is the speedup over {to}." for label, to in references.items()]
    )


def _measured(run: RunRecord) -> pd.DataFrame:
    rows = frame.summary(run)
    return rows[rows["status"] == "measured"]


def _is_shared(name: str, tables: Sequence[pd.DataFrame]) -> bool:
    """Return whether a field distinguishes cells and not only runs with one value each."""
    if name not in ("dtype", "device"):
        return True
    by_run = [frozenset(table[name]) for table in tables]
    return len(set(by_run)) == 1 or any(len(values) > 1 for values in by_run)


def _columns(key: Sequence[str], runs: Mapping[str, RunRecord]) -> tuple[Column, ...]:
    headings = {"batch_size": "batch"}
    columns = [Column(name=name, heading=headings.get(name, name), is_text=True) for name in key]
    for metric in _metrics(runs):
        for index, (label, run) in enumerate(runs.items()):
            column = metric.column(run)
            columns.append(
                replace(
                    column,
                    name=f"{metric.name}@{index}",
                    heading=f"{label}: {column.heading}",
                    at_least=metric.at_least and f"{metric.at_least}@{index}",
                )
            )
    return tuple(columns)


def _metrics(runs: Mapping[str, RunRecord]) -> tuple[Metric, ...]:
    names = {m.name for run in runs.values() for m in metrics.applying(run, Place.SIDE_BY_SIDE)}
    return tuple(metric for metric in metrics.ordered() if metric.name in names)


def _circumstances(run: RunRecord) -> dict[str, Any]:
    groups = (of_run(run) for of_run in CIRCUMSTANCES.values())
    facts = {name: value for group in groups for name, value in group.items()}
    dtypes = ", ".join(dict.fromkeys(record.cell.dtype for record in run.cells))
    commit = str(run.commit_info.get("id") or "unknown")[:12]
    machine = run.environment.device_name
    return {"machine": machine, **facts, "dtypes": dtypes, "commit": commit, "at": run.datetime}


def _references(run: RunRecord) -> list[str]:
    names = (cell.name for cell in run.references().values())
    return list(dict.fromkeys(names))
