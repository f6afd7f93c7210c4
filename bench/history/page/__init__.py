"""The page of a history, ``history.html``: one file that works from disk, without a network."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TypeAlias

import pandas as pd

from bench.columns import Column, scaled
from bench.history.changes import LEVEL, Change, Direction
from bench.history.page import chart
from bench.history.series import Series
from bench.history.trend import Trend, all_changes
from bench.report import page
from bench.report.blocks import Block, Paragraph, Picture, Prose, Sentences, Table, Verbatim
from bench.report.section import BuiltSection, Sheet
from bench.report.summary import slug
from bench.units import counted

HOW_TO_READ = f"""\
A change is a step from one level to another that lasts at least three runs. In a series in which
nothing changes, any change is reported with a chance of at most {LEVEL:.0%}. The interval of a
ratio does not allow for the search for the place of the change. A slow drift is reported as one or
several changes.

Series are apart if the machine, the version of torch, the number of threads, the size of the images
or the reference differ: such figures cannot be compared.
"""
COLUMNS = (
    Column(name="cell", heading="cell", is_text=True),
    Column(name="metric", heading="metric", is_text=True),
    Column(name="direction", heading="change", is_text=True),
    Column(name="ratio", heading="after / before", write=scaled(1, 3), bounded=True, neutral=1.0),
    Column(name="last_before", heading="last before", is_text=True),
    Column(name="first_after", heading="first after", is_text=True),
    Column(name="p_value", heading="p", write=lambda value: f"{value:.2g}"),
)
_NOUNS = {
    Direction.REGRESSION: "regression",
    Direction.IMPROVEMENT: "improvement",
    Direction.CHANGE: "other change",
}
_SHORT = 10  # characters of a commit's id


CommitsBetween: TypeAlias = Callable[[str, str], Sequence[str]]
"""Returns the commits between two, as lines; empty if they are unknown."""


def render(
    trends: Sequence[Trend], commits_between: CommitsBetween = lambda _before, _after: ()
) -> str:
    """Return the page of trends as HTML. Text from runs is escaped."""
    shown = [trend for trend in trends if trend.series.points]
    changes = (*_changes(shown), *_commits(shown, commits_between))
    sections = (
        BuiltSection(name="changes", title="Changes", label="Changes", blocks=changes),
        BuiltSection(name="series", title="Series", label="Series", blocks=tuple(_series(shown))),
        BuiltSection(
            name="reading",
            title="How to read this page",
            label="Reading",
            blocks=(Prose(text=HOW_TO_READ),),
        ),
    )
    return page.render_sheet(
        Sheet(
            title="History",
            lead=(_lead(shown),),
            about=tuple(_about(shown)),
            sections=tuple(section for section in sections if section.blocks),
        )
    )


def frame(trends: Sequence[Trend]) -> pd.DataFrame:
    """Return a row for each change, the most recent first."""
    return pd.DataFrame(
        [_row(trend, change) for trend, change in all_changes(trends)],
        columns=[*(column.name for column in COLUMNS), "ratio_low", "ratio_high"],
    )


def _row(trend: Trend, change: Change) -> dict[str, object]:
    before, after = trend.around(change)
    return {
        "cell": trend.series.cell,
        "metric": trend.series.metric,
        "direction": change.direction.value,
        "ratio": change.ratio.estimate,
        "ratio_low": change.ratio.low,
        "ratio_high": change.ratio.high,
        "last_before": _run(before.commit, f"{before.when:%Y-%m-%d}"),
        "first_after": _run(after.commit, f"{after.when:%Y-%m-%d}"),
        "p_value": change.p_value,
    }


def _run(commit: str | None, when: str) -> str:
    return f"{commit[:_SHORT]}, {when}" if commit else when


def _changes(trends: Sequence[Trend]) -> tuple[Block, ...]:
    rows = frame(trends)
    if rows.empty:
        return (Paragraph(text="No change was found."),)
    return (Table(title="Changes", columns=COLUMNS, rows=rows),)


def _commits(trends: Sequence[Trend], commits_between: CommitsBetween) -> Iterator[Block]:
    """Yield the commits around each change, from the run before it to the run after it."""
    around: dict[tuple[str, str], list[str]] = {}
    for trend, change in all_changes(trends):
        before, after = trend.around(change)
        if before.commit and after.commit and before.commit != after.commit:
            what = f"{trend.series.cell}, {change.direction.value}"
            around.setdefault((before.commit, after.commit), []).append(what)
    for (first, last), changed in around.items():
        if lines := commits_between(first, last):
            between = f"{first[:_SHORT]} and {last[:_SHORT]}"
            label = f"{counted(len(lines), 'commit')} between {between} ({'; '.join(changed)})"
            yield Verbatim(label=label, text="\n".join(lines), is_long=True)


def _series(trends: Sequence[Trend]) -> Iterator[Block]:
    """Yield a chart for each series, and a sentence for each that could not be searched."""
    for index, trend in enumerate(trends, 1):
        name = f"series-{index}-{slug(trend.series.cell)}"
        picture = chart.build(trend, name, _title(trend.series))
        yield Picture(chart=replace(picture, is_caption_repeated=index > 1))
    if sentences := [
        f"{_title(trend.series)}: not searched for changes, because {trend.unsearched}."
        for trend in trends
        if trend.unsearched
    ]:
        yield Sentences(sentences=sentences)


def _title(series: Series) -> str:
    threads = "" if series.threads is None else counted(series.threads, "thread")
    torch = series.torch and f"torch {series.torch}"
    circumstances = [series.machine_name, torch, threads, series.image_size]
    return f"{series.cell}, {series.metric} ({', '.join(filter(None, circumstances))})"


def _lead(trends: Sequence[Trend]) -> str:
    found = [change.direction for trend in trends for change in trend.changes]
    counts = [
        counted(found.count(direction), noun)
        for direction, noun in _NOUNS.items()
        if direction in found
    ]
    return f"{len(trends)} series: " + (
        f"{', '.join(counts)}." if counts else "no change was found."
    )


def _about(trends: Sequence[Trend]) -> Iterator[str]:
    points = [point for trend in trends for point in trend.series.points]
    if points:
        yield counted(len({point.run_id for point in points}), "run")
        whens = [point.when for point in points]
        yield f"{min(whens):%Y-%m-%d} to {max(whens):%Y-%m-%d}"
        yield from sorted({trend.series.machine_name for trend in trends})
