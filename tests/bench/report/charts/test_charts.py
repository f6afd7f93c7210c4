import json
from dataclasses import replace
from xml.etree import ElementTree

import altair as alt
import jsonschema
import pandas as pd
import pytest

from bench.records import store
from bench.records.record import RunRecord, Visit
from bench.report import charts
from bench.report.chart import Chart
from bench.report.charts import style
from bench.report.charts.drift import MAX_POINTS
from bench.stages import store as stages
from tests.bench import runs
from tests.bench.report import rungs
from tests.bench.report.test_golden import GOLDEN

LADDER = rungs.ladder(modes=("eager", "compile"))
SWEEP = replace(
    runs.small("complete"),
    cells=tuple(
        replace(runs.measured(runs.EAGER), cell=replace(runs.EAGER, batch_size=size))
        for size in (1, 8, 32)
    ),
)
SCHEMA = jsonschema.Draft7Validator(alt.load_schema())


def named(run: RunRecord) -> dict[str, Chart]:
    return {chart.name: chart for chart in charts.build(run)}


def test_latency_axis_names_the_host_clock_if_there_are_two_latencies() -> None:
    for run, title in ((runs.small(), "latency, ms"), (runs.gpu(), "host latency, ms")):
        chart = next(spec for name, spec in named(run).items() if name.startswith("latency-"))
        assert chart.spec["layer"][0]["encoding"]["x"]["title"] == title


def test_every_kind_of_chart_is_valid_vega_lite() -> None:
    run, inside = store.read(GOLDEN / "run.json"), stages.read(GOLDEN / "stages.csv")
    all_charts = [*charts.build(run, inside), *charts.build(LADDER), *charts.build(runs.gpu())]
    all_charts += charts.build(SWEEP)
    kinds = {
        kind for chart in all_charts for kind in charts.PREFIXES if chart.name.startswith(kind)
    }
    assert kinds == set(charts.PREFIXES)
    assert not SCHEMA.is_valid({**all_charts[0].spec, "width": "wide"})
    for chart in all_charts:
        assert SCHEMA.is_valid(chart.spec), chart.name


def values(chart: Chart) -> list[dict[str, object]]:
    (rows,) = chart.spec["datasets"].values()
    return list(rows)


def test_each_run_has_the_charts_of_its_figures() -> None:
    assert list(named(LADDER)) == [
        "latency-fp32-batch-1-infer-cpu",
        "ladder-fp32-batch-1-infer-cpu",
        "drift-fp32-b1-infer-cpu",
    ]
    assert "throughput-fp32-infer-cpu" in named(SWEEP)
    assert "throughput-fp32-infer-cpu" not in named(
        runs.small()
    )  # two sizes are too few for a curve


def test_ladder_bars_lead_from_the_first_network_to_the_last() -> None:
    rows = [
        row
        for row in values(named(LADDER)["ladder-fp32-batch-1-infer-cpu"])
        if row["mode"] == "eager"
    ]
    assert [row["network"] for row in rows] == [
        "googlenet-3x3",
        "googlenet-3x3-pool2",
        "torchvision",
    ]
    assert rows[0]["start"] == 100.0
    assert [row["end"] for row in rows[:-1]] == [row["start"] for row in rows[1:]]
    assert rows[-1]["end"] == pytest.approx(100 * rungs.THREE * rungs.POOL, abs=1.0)


def test_drift_is_the_change_common_to_all_cells() -> None:
    rows = values(named(LADDER)["drift-fp32-b1-infer-cpu"])
    assert len(rows) == rungs.SETS * rungs.ROUNDS
    first, last = rows[0]["middle"], rows[-1]["middle"]
    assert isinstance(first, float)
    assert isinstance(last, float)
    assert last / first == pytest.approx(1.3, abs=0.02)


def test_too_many_rounds_are_merged_into_fewer_points() -> None:
    sets, rounds = 2, 4000
    visits = tuple(
        Visit(set_index=index, round_index=number, host_s=(0.01 * (1 + number / rounds),))
        for index in range(sets)
        for number in range(rounds)
    )
    cell = replace(LADDER.cells[0], visits=visits)
    chart = named(replace(LADDER, cells=(cell,), controls=()))["drift-fp32-b1-infer-cpu"]
    rows = values(chart)
    assert len(rows) == MAX_POINTS
    assert [row["set"] for row in rows] == ["1"] * (MAX_POINTS // 2) + ["2"] * (MAX_POINTS // 2)
    middles = [float(str(row["middle"])) for row in rows]
    assert middles[: MAX_POINTS // 2] == sorted(middles[: MAX_POINTS // 2])
    assert middles[0] == pytest.approx(100 / 1.5, rel=0.01)
    assert "fewer points" in chart.caption
    assert SCHEMA.is_valid(chart.spec)
    assert ElementTree.fromstring(style.svg(chart)).tag.endswith("svg")  # noqa: S314 - our own


def test_number_of_rows_is_not_limited() -> None:
    rows = [{"x": number, "y": number} for number in range(6000)]
    plot = alt.Chart(pd.DataFrame(rows)).mark_point().encode(x="x:Q", y="y:Q")
    assert len(values(style.to_chart("large", "", "", plot))) == len(rows)


def test_run_without_figures_has_no_charts() -> None:
    run = replace(runs.small(), cells=(), controls=())
    assert charts.build(run) == ()
    failed = replace(LADDER.cells[0], failure=runs.FAILURE)
    assert charts.build(replace(LADDER, cells=(failed,), controls=())) == ()


@pytest.mark.parametrize("chart", charts.build(LADDER), ids=lambda chart: chart.name)
def test_every_svg_has_units_and_no_background(chart: Chart) -> None:
    svg = style.svg(chart)
    root = ElementTree.fromstring(svg)  # noqa: S314 - our own
    assert root.tag.endswith("svg")
    text = "".join(root.itertext())
    assert "ms" in text or "%" in text or "images" in text
    assert 'fill="white"' not in svg.replace('fill="white" opacity="0"', "")


def test_hostile_name_is_escaped() -> None:
    hostile = replace(LADDER.cells[0].cell, arch="<script>alert(1)</script>")
    run = replace(LADDER, cells=(replace(LADDER.cells[0], cell=hostile), *LADDER.cells[1:]))
    for chart in charts.build(run):
        ElementTree.fromstring(style.svg(chart))  # noqa: S314 - our own
        assert "<script>" not in style.svg(chart)
        json.dumps(chart.spec)
