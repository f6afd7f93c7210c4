"""The gate of a history: whether the most recent runs are at a worse level than those before."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pandas as pd

from bench.columns import Column, scaled
from bench.exits import Exit
from bench.gate.verdict import Verdict
from bench.history import trend
from bench.history.changes import Change, Direction
from bench.history.series import Series
from bench.history.trend import Trend

LEVEL = 0.0005
"""Chance of a false alarm at one look, so that a look after each of 50 runs raises an alarm in at
most 1 % of unchanged series (reports/history-changes.md)."""
LAST_RUNS = 5
"""A change found within so many runs counts as recent."""
_UNDONE = 0.5  # a change is undone if later ones leave less than this share of it

COLUMNS = (
    Column(name="cell", heading="cell", is_text=True),
    Column(name="metric", heading="metric", is_text=True),
    Column(name="verdict", heading="verdict", is_text=True),
    Column(name="ratio", heading="after / before", write=scaled(1, 3), bounded=True, neutral=1.0),
    Column(name="p_value", heading="p", write=lambda value: f"{value:.2g}"),
    Column(name="commit_before", heading="last before", is_text=True),
    Column(name="commit_after", heading="first after", is_text=True),
    Column(name="runs", heading="runs"),
    Column(name="why", heading="why", is_text=True, wraps=True),
    Column(name="machine", heading="machine", is_text=True, rank=5),
    Column(name="torch", heading="torch", is_text=True, rank=5),
    Column(name="threads", heading="threads", rank=5),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """The verdict on a series."""

    trend: Trend
    verdict: Verdict
    change: Change | None = None
    """The most recent change that the verdict is about."""
    why: str = ""
    """Why the series was not judged, or what became of a change; empty if there is no reason."""


def judge(
    series: Iterable[Series], *, last: int = LAST_RUNS, level: float = LEVEL
) -> tuple[Judgement, ...]:
    """Return the verdict on each series that has one of the ``last`` runs of its cell.

    Other series have ended, for example because another version of torch is used now.
    """
    return tuple(_judge(trend.find(each, level=level), last) for each in current(series, last))


def exit_code(judgements: Sequence[Judgement]) -> Exit:
    """Return 1 if a series regressed; else 3 if one is inconclusive or there is none; else 0."""
    verdicts = {each.verdict for each in judgements}
    if Verdict.REGRESSED in verdicts:
        return Exit.FAILED
    return Exit.UNDECIDED if not verdicts or Verdict.INCONCLUSIVE in verdicts else Exit.FINE


def current(series: Iterable[Series], last: int) -> list[Series]:
    """Return the series with a point among the ``last`` runs of their cell and metric."""
    every = [each for each in series if each.points]
    recent: dict[tuple[str, str], list[tuple[object, str]]] = {}
    for each in every:
        runs = recent.setdefault((each.cell, each.metric), [])
        runs += [(point.when, point.run_id) for point in each.points]
    ids = {key: {run for _, run in sorted(runs)[-last:]} for key, runs in recent.items()}
    return [each for each in every if each.points[-1].run_id in ids[each.cell, each.metric]]


def frame(judgements: Iterable[Judgement]) -> pd.DataFrame:
    """Return a row for each verdict; regressions come first."""
    order = (Verdict.REGRESSED, Verdict.INCONCLUSIVE, Verdict.IMPROVED, Verdict.UNCHANGED)
    rows = [_row(each) for each in sorted(judgements, key=lambda each: order.index(each.verdict))]
    return pd.DataFrame(rows)


def _judge(found: Trend, last: int) -> Judgement:
    if found.unsearched:
        return Judgement(trend=found, verdict=Verdict.INCONCLUSIVE, why=found.unsearched)
    first = len(found.series.points) - last
    recent = [change for change in reversed(found.changes) if change.index >= first]
    for change in recent:
        if change.direction is Direction.REGRESSION and found.remaining(change) >= _UNDONE:
            return Judgement(trend=found, verdict=Verdict.REGRESSED, change=change)
    for change in recent:
        if change.direction is Direction.IMPROVEMENT:
            return Judgement(trend=found, verdict=Verdict.IMPROVED, change=change)
    for change in recent:
        why = (
            "a regression that was undone"
            if change.direction is Direction.REGRESSION
            else "it changed, but neither more nor less is better"
        )
        return Judgement(trend=found, verdict=Verdict.UNCHANGED, change=change, why=why)
    return Judgement(trend=found, verdict=Verdict.UNCHANGED)


def _row(judged: Judgement) -> dict[str, object]:
    series, change = judged.trend.series, judged.change
    row: dict[str, object] = {
        "cell": series.cell,
        "metric": series.metric,
        "verdict": judged.verdict.value,
        "runs": len(series.points),
        "why": judged.why,
        "machine": series.machine_name,
        "torch": series.torch,
        "threads": series.threads,
    }
    if change is not None:
        before, after = judged.trend.around(change)
        row |= {
            "ratio": change.ratio.estimate,
            "ratio_low": change.ratio.low,
            "ratio_high": change.ratio.high,
            "p_value": change.p_value,
            "commit_before": before.commit or before.run_id,
            "commit_after": after.commit or after.run_id,
        }
    return row
