"""The tables of a history: runs, the cells of a run, trends and their points. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from statistics import median
from typing import Any, TypeAlias

import msgspec
import pandas as pd

from bench.columns import Column, filled, signed
from bench.history import shown
from bench.history.entry import Entry
from bench.history.listed import ListedRun
from bench.history.series import Point, Series
from bench.tables import BLANK
from bench.units import counted

Rows: TypeAlias = tuple[tuple[Column, ...], pd.DataFrame]
_BARS = "▁▂▃▄▅▆▇█"
MOST_BARS = 30
"""How many of the latest points the trend of a series draws."""
_SHORT = 12  # digits of a commit or of a run's id; `show` takes the beginning of an id
_PERCENT = signed(100, 1)
_CIRCUMSTANCES = {
    "machine_name": "machine",
    "machine": "hardware",
    "torch": "torch",
    "threads": "threads",
    "image_size": "image size",
    "reference": "reference",
}


def runs(listed: Sequence[ListedRun]) -> Rows:
    """Return a row for each run."""
    columns = (
        Column(name="run_id", heading="run", write=_short, is_text=True),
        Column(name="when", heading="when (UTC)", write=_when, is_text=True),
        Column(name="kind", heading="kind", is_text=True, rank=2),
        Column(name="branch", heading="branch", is_text=True, rank=1),
        Column(name="commit", heading="commit", write=_short, is_text=True),
        Column(name="status", heading="status", is_text=True),
        Column(name="machine_name", heading="machine", is_text=True, rank=1),
        Column(name="torch", heading="torch", is_text=True),
        Column(name="threads", heading="threads", write="{:.0f}".format, rank=2),
        Column(name="cells", heading="cells"),
    )
    rows = pd.DataFrame(
        [{**msgspec.structs.asdict(each), "when": each.when.isoformat()} for each in listed],
        columns=list(ListedRun.__struct_fields__),
    )
    return columns, rows.astype({"threads": "Int64"})


def cells(entry: Entry) -> Rows:
    """Return a row for each cell of a run, with its figures."""
    metrics = [shown.metric(each.name, each.unit, each.neutral) for each in entry.metrics]
    are_bounds = {metric.at_least for metric in metrics if metric.at_least}
    rows = []
    for cell in entry.cells:
        row: dict[str, Any] = {"cell": cell.cell, "status": cell.status}
        for figure in cell.figures:
            is_flag = figure.metric in are_bounds
            row[figure.metric] = bool(figure.value) if is_flag else figure.value
            if figure.low is not None:
                row |= {f"{figure.metric}_low": figure.low, f"{figure.metric}_high": figure.high}
        rows.append(row)
    table = pd.DataFrame(rows)
    columns = (
        Column(name="cell", heading="cell", is_text=True),
        Column(name="status", heading="status", is_text=True, rank=1),
        *(
            metric.column(bounded=f"{metric.name}_low" in table)
            for metric in metrics
            if metric.name not in are_bounds
        ),
    )
    return filled(columns, table), table


def about(entry: Entry) -> str:
    """Return a sentence on where a run comes from."""
    known = {
        "branch": entry.branch,
        "commit": entry.commit and entry.commit + (" with changes" if entry.dirty else ""),
        "machine": entry.machine.name,
        "torch": entry.torch,
        "threads": entry.threads,
        "Python": entry.python,
    }
    facts = ", ".join(f"{name} {value}" for name, value in known.items() if value)
    when = _when(entry.when.isoformat())
    return f"{entry.kind} {entry.run_id} ({entry.status}), written {when} UTC: {facts}."


def trends(found: Sequence[Series]) -> Rows:
    """Return a row for each series, for people; the circumstances are those that differ."""
    columns = (
        Column(name="cell", heading="cell", is_text=True, wraps=True),
        Column(name="metric", heading="metric", is_text=True),
        *(
            Column(name=name, heading=heading, is_text=True, rank=1)
            for name, heading in _CIRCUMSTANCES.items()
            if _differs(found, name)
        ),
        Column(name="runs", heading="runs"),
        Column(name="since", heading="since", is_text=True, rank=2),
        Column(name="latest", heading="latest"),
        Column(name="change", heading="latest vs median\nof the earlier %"),
        Column(name="shape", heading=f"last {MOST_BARS}", is_text=True, rank=3),
    )
    return columns, pd.DataFrame([_trend(series) for series in found])


def _differs(found: Sequence[Series], name: str) -> bool:
    """Return whether series differ in a circumstance; references, within one cell."""
    told = {(series.cell if name == "reference" else "", getattr(series, name)) for series in found}
    return len(told) > len({cell for cell, _ in told})


def points(series: Series) -> Rows:
    """Return a row for each point of a series, for people."""
    metric = shown.metric(series.metric, series.unit, series.neutral)
    columns = (
        Column(name="when", heading="when (UTC)", is_text=True),
        Column(name="branch", heading="branch", is_text=True, rank=1),
        Column(name="commit", heading="commit", is_text=True),
        Column(name="run", heading="run", is_text=True, rank=2),
        Column(name="value", heading=metric.heading),
        Column(name="change", heading="vs the one\nbefore %"),
    )
    rows = [
        {
            "when": _when(point.when.isoformat()),
            "branch": point.branch,
            "commit": point.commit and _short(point.commit),
            "run": _short(point.run_id),
            "value": metric.text(point.value, point.low, point.high),
            "change": _change(before.value if before else None, point.value),
        }
        for before, point in zip((None, *series.points), series.points, strict=False)
    ]
    return columns, pd.DataFrame(rows)


def titles(series: Series) -> tuple[str, str]:
    """Return sentences on what a series has and on its trend."""
    metric = shown.metric(series.metric, series.unit, series.neutral)
    facts = {
        "torch": series.torch,
        "threads": series.threads,
        "images": series.image_size,
        "reference": series.reference,
    }
    known = ", ".join(f"{name} {value}" for name, value in facts.items() if value)
    trend = _trend(series)
    change = f", {trend['change']} % from the median of the earlier" if trend["change"] else ""
    return (
        f"{series.cell}, {metric.heading}: {counted(len(series.points), 'run')} on "
        f"{series.machine_name}{f' ({known})' if known else ''}.",
        f"{trend['shape']} The latest is {trend['latest']}{change}.",
    )


def tidy(found: Sequence[Series]) -> pd.DataFrame:
    """Return a row for each point of each series, for programs."""
    return pd.DataFrame([row for series in found for row in _tidy(series)])


def _tidy(series: Series) -> Iterator[Mapping[str, Any]]:
    common = msgspec.structs.asdict(series)
    del common["points"]
    for point in series.points:
        yield {**common, **msgspec.structs.asdict(point), "when": point.when.isoformat()}


def _trend(series: Series) -> Mapping[str, Any]:
    metric = shown.metric(series.metric, series.unit, series.neutral)
    latest, earlier = series.points[-1], series.points[:-1]
    usual = median(point.value for point in earlier) if earlier else None
    return {
        "cell": series.cell,
        "metric": metric.heading,
        **{name: getattr(series, name) or BLANK for name in _CIRCUMSTANCES},
        "machine": _short(series.machine),
        "runs": len(series.points),
        "since": series.points[0].when.date().isoformat(),
        "latest": metric.text(latest.value, latest.low, latest.high),
        "change": _change(usual, latest.value),
        "shape": bars(series.points[-MOST_BARS:]),
    }


def bars(drawn: Sequence[Point]) -> str:
    """Return points as bars of text, from the least to the largest value."""
    values = [point.value for point in drawn]
    low, high = min(values), max(values)
    if low == high:
        return _BARS[len(_BARS) // 2] * len(values)
    step = (high - low) / (len(_BARS) - 1)
    return "".join(_BARS[round((value - low) / step)] for value in values)


def _change(before: float | None, after: float) -> str | None:
    """Return a change in percent as text; None if there is nothing to compare with."""
    return _PERCENT(after / before - 1) if before else None


def _short(text: str) -> str:
    return text[:_SHORT]


def _when(text: str) -> str:
    return datetime.fromisoformat(text).strftime("%Y-%m-%d %H:%M")
