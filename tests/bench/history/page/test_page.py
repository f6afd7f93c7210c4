import json
import re
from functools import cache

import msgspec
import pytest

from bench.history import page, trend
from bench.history.page import chart
from bench.history.trend import Trend
from tests.bench.history.histories import series, values
from tests.bench.report.page.pages import HOSTILE, Tags


@cache
def slower() -> Trend:
    return trend.find(series(values((30, 1.0), (20, 0.95))))


def test_the_page_names_every_change_with_the_runs_around_it() -> None:
    html = page.render([slower()])
    assert "1 series: 1 regression." in html
    for text in ("1d1d1d1d1d, 2026-01-30", "1e1e1e1e1e, 2026-01-31", "regression"):
        assert text in html


def test_the_table_has_a_row_for_each_change_and_the_most_recent_is_first() -> None:
    fixed = trend.find(series(values((20, 1.0), (10, 0.9), (20, 1.0))))
    rows = page.frame([fixed, slower()])
    assert rows["direction"].to_list() == ["improvement", "regression", "regression"]
    assert rows["ratio"].to_list() == pytest.approx([1 / 0.9, 0.95, 0.9], rel=0.01)


def test_the_page_lists_the_commits_around_each_change() -> None:
    asked = []

    def commits_between(before: str, after: str) -> tuple[str, ...]:
        asked.append((before, after))
        return ("2026-01-31 1e1e1e1 Use <b>slower</b> pooling", "2026-01-31 1d9f3aa Tidy up")

    html = page.render([slower()], commits_between)
    assert asked == [("1d" * 20, "1e" * 20)]
    assert "2 commits between 1d1d1d1d1d and 1e1e1e1e1e" in html
    assert "1e1e1e1 Use &lt;b&gt;slower&lt;/b&gt; pooling\n2026-01-31 1d9f3aa Tidy up" in html
    assert "commits between" not in page.render([slower()])


@pytest.mark.parametrize("commit", [None, "1d" * 20], ids=["unknown", "same"])
def test_no_commits_are_looked_up_between_runs_of_unknown_commits_or_of_one(
    commit: str | None,
) -> None:
    made = series(values((30, 1.0), (20, 0.95)))
    points = tuple(msgspec.structs.replace(point, commit=commit) for point in made.points)
    found = trend.find(msgspec.structs.replace(made, points=points))
    html = page.render([found], lambda *_: pytest.fail("commits were looked up"))
    assert "1 series: 1 regression." in html
    (row,) = page.frame([found]).to_dict("records")
    name = f"{commit[:10]}, " if commit else ""
    assert row["last_before"] == f"{name}2026-01-30"
    assert row["first_after"] == f"{name}2026-01-31"
    text = json.dumps(chart.build(found, "name", "title").spec)
    assert f'"before": "{commit or "unknown"} (2026-01-30 00:00)"' in text


def test_a_history_without_runs_has_a_page_too() -> None:
    html = page.render([trend.find(series([]))])
    assert "0 series: no change was found." in html
    assert "How to read this page" in html
    assert 'class="plot"' not in html


def test_a_run_without_an_interval_is_a_point_on_its_band() -> None:
    made = series([2.0, 3.0])
    points = tuple(msgspec.structs.replace(point, low=None, high=None) for point in made.points)
    found = trend.find(msgspec.structs.replace(made, points=points, metric="of a plugin"))
    drawn = chart.build(found, "name", "title").spec
    rows = drawn["datasets"]["rows"]
    assert [(row["low"], row["value"], row["high"]) for row in rows] == [(2, 2, 2), (3, 3, 3)]
    assert '"title": "of a plugin"' in json.dumps(drawn)


def test_a_history_without_changes_says_so() -> None:
    html = page.render([trend.find(series(values((50, 1.0))))])
    assert "1 series: no change was found." in html
    assert not list(Tags(html).named("table"))


def test_a_series_that_is_too_short_is_shown_and_explained() -> None:
    html = page.render([trend.find(series([1.0, 1.0]))])
    assert "not searched for changes, because it has 2 of the 10 runs" in html
    assert 'class="plot"' in html


def test_text_of_a_run_is_not_interpreted() -> None:
    hostile = trend.find(
        series(values((20, 1.0), (20, 1.1)), cell=HOSTILE, machine_name=HOSTILE, torch=HOSTILE)
    )
    tags = Tags(page.render([hostile]))
    assert not list(tags.named("img"))
    assert len(list(tags.named("script"))) == 3


def test_the_chart_has_every_run_level_and_change() -> None:
    made = chart.build(slower(), "name", "title")
    rows = made.spec["datasets"]["rows"]
    assert [row["value"] for row in rows] == [point.value for point in slower().series.points]
    text = json.dumps(made.spec)
    assert text.count('"direction": "regression"') == 1
    assert len(re.findall(r'"level": ', text)) == 2
