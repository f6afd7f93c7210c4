"""A chart that cannot be drawn costs the report nothing else."""

import math
from pathlib import Path

import pytest

from bench.records import store
from bench.report import files
from bench.report.chart import Chart
from bench.report.charts import drift
from tests.bench import runs

WITH_NAN = Chart(
    name="drift-broken",
    title="Drift",
    caption="A chart with a number that JSON does not have.",
    spec={"data": {"values": [{"x": math.nan}]}, "mark": "point"},
)


def test_a_chart_that_cannot_be_drawn_is_noted_and_the_others_are_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drift, "charts", lambda _run: (WITH_NAN,))
    files.write_all(runs.small("complete"), tmp_path)
    pictures = {path.name for path in (tmp_path / files.CHARTS).iterdir()}
    assert pictures
    assert "drift-broken.svg" not in pictures
    for name in ("report.md", "report.html"):
        text = (tmp_path / name).read_text()
        assert "cannot be drawn: ValueError: Out of range float values" in text
    assert store.read(tmp_path / files.RUN_FILE).status == "complete"
