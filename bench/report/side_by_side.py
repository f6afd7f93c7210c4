"""Several runs side by side: machines, dtypes or versions, which were not measured together.

Pure. Each run's ratios are to its own reference, in which its own drift cancels; latencies of two
runs hold the difference of two days besides.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from bench.records.circumstances import CIRCUMSTANCES
from bench.records.record import RunRecord
from bench.report import frame
from bench.tables import Column, as_markdown, escaped, milliseconds, scaled

KEY = ("arch", "mode", "dtype", "batch_size", "task", "device")
_FIGURES = ("latency_s", "speedup_over_reference", "images_per_s")
INTRODUCTION = """\
These runs were **not measured together**: whatever changed between them, the machine's mood too, is
in the difference of two latencies, and no interval shows it. Ratios are each to the run's own
reference, measured moments apart, so that they may be compared; in brackets stand 95 % intervals.
"""


def tidy(runs: Mapping[str, RunRecord]) -> pd.DataFrame:
    """A row for each run and cell, the run's label first."""
    tables = {label: frame.summary(run) for label, run in runs.items()}
    for label, table in tables.items():
        table.insert(0, "run", label)
    return pd.concat(tables.values(), ignore_index=True)


def wide(runs: Mapping[str, RunRecord]) -> tuple[tuple[Column, ...], pd.DataFrame]:
    """A row for each cell that a run measured, with figures of every run, and the columns.

    Runs whose dtypes or devices are not the same are put side by side in spite of that.
    """
    tables = {label: _measured(run) for label, run in runs.items()}
    key = [name for name in KEY if _is_shared(name, list(tables.values()))]
    rows: dict[tuple[Any, ...], dict[str, Any]] = {}
    for index, table in enumerate(tables.values()):
        for row in table.to_dict("records"):
            of_cell = rows.setdefault(tuple(row[name] for name in key), {n: row[n] for n in key})
            for name in _FIGURES:
                for end in ("", "_low", "_high"):
                    of_cell[f"{name}@{index}{end}"] = row.get(f"{name}{end}")
    return _columns(key, runs), pd.DataFrame(list(rows.values()))


def differences(runs: Mapping[str, RunRecord]) -> pd.DataFrame:
    """A row for each circumstance in which the runs differ, a column for each, from ``0`` on."""
    found = {label: _circumstances(run) for label, run in runs.items()}
    names = dict.fromkeys(name for about in found.values() for name in about)
    return pd.DataFrame(
        [
            {"what": name} | {str(at): about.get(name) for at, about in enumerate(found.values())}
            for name in names
            if len({str(about.get(name)) for about in found.values()}) > 1
        ],
        columns=["what", *map(str, range(len(runs)))],
    )


def render(runs: Mapping[str, RunRecord]) -> str:
    """The comparison in Markdown."""
    columns, table = wide(runs)
    differing = differences(runs)
    parts = [f"# {escaped(', '.join(runs))}: side by side", INTRODUCTION]
    if not differing.empty:
        headings = {"what": "what", **{str(at): label for at, label in enumerate(runs)}}
        parts += [
            "## What is not the same",
            as_markdown(
                tuple(Column(name=n, heading=said, is_text=True) for n, said in headings.items()),
                differing,
            ),
        ]
    parts += ["## Cells", as_markdown(columns, table)]
    references = {label: ", ".join(_references(run)) for label, run in runs.items()}
    parts += [
        "\n".join(f"- {escaped(label)}: × is to {escaped(to)}." for label, to in references.items())
    ]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _measured(run: RunRecord) -> pd.DataFrame:
    rows = frame.summary(run)
    return rows[rows["status"] == "measured"]


def _is_shared(name: str, tables: Sequence[pd.DataFrame]) -> bool:
    """Whether a field tells cells apart, and not just runs, each of which has one of its own."""
    if name not in ("dtype", "device"):
        return True
    found = [frozenset(table[name]) for table in tables]
    return len(set(found)) == 1 or any(len(values) > 1 for values in found)


def _columns(key: Sequence[str], runs: Mapping[str, RunRecord]) -> tuple[Column, ...]:
    headings = {"batch_size": "batch"}
    columns = [Column(name=name, heading=headings.get(name, name), is_text=True) for name in key]
    for name, heading, write, bounded in (
        ("latency_s", "ms", milliseconds, True),
        ("speedup_over_reference", "×", scaled(1, 3), True),
        ("images_per_s", "images/s", scaled(1, 1), False),
    ):
        columns += [
            Column(
                name=f"{name}@{index}", heading=f"{label}: {heading}", write=write, bounded=bounded
            )
            for index, label in enumerate(runs)
        ]
    return tuple(columns)


def _circumstances(run: RunRecord) -> dict[str, Any]:
    facts = (of_run(run) for of_run in CIRCUMSTANCES.values())
    about = {name: value for found in facts for name, value in found.items()}
    dtypes = ", ".join(dict.fromkeys(record.cell.dtype for record in run.cells))
    commit = str(run.commit_info.get("id") or "unknown")[:12]
    machine = run.environment.get("device_name")
    return {"machine": machine, **about, "dtypes": dtypes, "commit": commit, "at": run.datetime}


def _references(run: RunRecord) -> list[str]:
    found = (f"{cell.arch} in {cell.mode}" for cell in run.references().values())
    return list(dict.fromkeys(found))
