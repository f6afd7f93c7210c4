import json
import math
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from xml.etree import ElementTree

import altair as alt
import jsonschema
import pandas as pd
import pytest

from bench.records import store
from bench.records.record import CellRecord, RunRecord, Visit
from bench.records.run_cache import cached_per_run
from bench.report import charts, frame
from bench.report.chart import Chart
from bench.report.charts import style
from bench.report.charts.drift import MAX_POINTS
from bench.stages import store as stages
from tests.bench import runs
from tests.bench.report import fronts, profiles, rungs
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


@cached_per_run
def built(run: RunRecord) -> Sequence[Chart]:
    return charts.build(run)


def named(run: RunRecord) -> dict[str, Chart]:
    return {chart.name: chart for chart in built(run)}


def test_latency_axis_names_the_host_clock_if_there_are_two_latencies() -> None:
    for run, title in ((runs.small(), "latency, ms"), (runs.gpu(), "host latency, ms")):
        chart = next(spec for name, spec in named(run).items() if name.startswith("latency-"))
        assert chart.spec["layer"][0]["encoding"]["x"]["title"] == title


def test_every_kind_of_chart_is_valid_vega_lite() -> None:
    run, inside = store.read(GOLDEN / "run.json"), stages.read(GOLDEN / "stages.csv")
    all_charts = [*charts.build(run, inside), *built(LADDER), *charts.build(runs.gpu())]
    all_charts += [*built(SWEEP), *charts.build(fronts.several())]
    all_charts += charts.build(profiles.run())
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
        "ratios-fp32-batch-1-infer-cpu",
        "latency-fp32-batch-1-infer-cpu",
        "ladder-fp32-batch-1-infer-cpu",
        "drift-fp32-b1-infer-cpu",
    ]
    assert "throughput-fp32-infer-cpu" in named(SWEEP)
    assert "throughput-fp32-infer-cpu" not in named(
        runs.small()
    )  # two sizes are too few for a curve


def ratios(run: RunRecord) -> dict[tuple[object, object], dict[str, object]]:
    rows = values(named(run)["ratios-fp32-batch-1-infer-cpu"])
    return {(row["arch"], row["mode"]): row for row in rows}


def test_ratios_are_those_of_the_summary_and_unsure_if_the_interval_contains_1() -> None:
    rows = ratios(rungs.ladder(torchvision=rungs.FACTORS["googlenet-3x3"]))
    assert list(rows) == [(arch, "eager") for arch in rungs.FACTORS]
    summary = frame.summary(rungs.ladder(torchvision=rungs.FACTORS["googlenet-3x3"]))
    assert [row["ratio"] for row in rows.values()] == list(summary["speedup_over_reference"])
    assert rows["googlenet", "eager"]["ratio"] == pytest.approx(rungs.THREE, abs=0.01)
    is_sure = {arch: row["is_sure"] for (arch, _), row in rows.items()}
    assert is_sure == {
        "googlenet": True,
        "googlenet-3x3": False,
        "googlenet-pool2": True,
        "googlenet-3x3-pool2": True,
        "torchvision": True,
    }


@cache
def modes_apart(times: float) -> RunRecord:
    """Return a ladder whose cells in compile are ``times`` as fast as those in eager."""
    run = rungs.ladder(modes=("eager", "compile"))
    cells = [
        rungs.measured(record.cell, rungs.FACTORS[record.cell.arch] / times)
        if record.cell.mode == "compile"
        else record
        for record in run.cells
    ]
    return replace(run, cells=tuple(cells))


def test_each_mode_has_a_panel_with_an_axis_of_its_own_that_is_equally_wide() -> None:
    panels = {row["mode"]: row for row in ratios(modes_apart(1.8)).values()}
    widths = [
        math.log(float(str(row["end"])) / float(str(row["start"]))) for row in panels.values()
    ]
    assert widths[0] == pytest.approx(widths[1])
    assert widths[0] < math.log(1.8) / 2  # so a per cent is as wide as it can be
    title = str(panels["compile"]["panel"])
    low, high = map(float, title.removeprefix("compile: ").removesuffix(" ×").split("–"))
    assert high == pytest.approx(1.8, abs=0.02)
    assert low == pytest.approx(1.8 * rungs.FACTORS["torchvision"], abs=0.02)


@pytest.mark.parametrize(("times", "is_drawn"), [(1.8, False), (1.001, True)])
def test_the_line_at_1_is_in_the_panels_that_reach_it(times: float, *, is_drawn: bool) -> None:
    even = {row["mode"]: row["even"] for row in ratios(modes_apart(times)).values()}
    assert even["eager"] == 1
    assert (even["compile"] == 1) is is_drawn


def test_every_ratio_is_inside_its_panel() -> None:
    for times in (1.001, 1.8, 40.0):
        for row in ratios(modes_apart(times)).values():
            start, left, right, end = (
                float(str(row[name])) for name in ("start", "left", "right", "end")
            )
            assert start < left <= right < end


def test_a_caption_that_repeats_is_marked() -> None:
    repeated = [chart.is_caption_repeated for chart in built(SWEEP) if "latency" in chart.name]
    assert repeated == [False, True, True]


def test_the_reference_is_at_1_without_an_interval() -> None:
    row = ratios(LADDER)["torchvision", "eager"]
    assert (row["ratio"], row["low"], row["high"], row["is_sure"]) == (1.0, None, None, True)


def test_ratios_without_an_interval_are_unsure() -> None:
    def of_first_set(record: CellRecord) -> CellRecord:
        visits = (visit for visit in record.visits if visit.set_index == 0)
        return replace(record, visits=tuple(visits))

    run = replace(LADDER, cells=tuple(map(of_first_set, LADDER.cells)))
    row = ratios(run)["googlenet", "eager"]
    assert row["low"] is None
    assert not row["is_sure"]


def test_ratios_are_not_drawn_without_a_reference_or_another_cell() -> None:
    (cell,) = LADDER.references().values()
    (reference,) = (record for record in LADDER.cells if record.cell == cell)
    for run in (replace(LADDER, controls=()), replace(LADDER, cells=(reference,))):
        assert not [name for name in named(run) if name.startswith("ratios-")]


def ladder_of_equals() -> RunRecord:
    return replace(LADDER, cells=tuple(rungs.measured(cell.cell, 1.0) for cell in LADDER.cells))


@pytest.mark.parametrize(
    ("run", "labels"),
    [
        # d3 alone would write 1.001 as 1.
        (rungs.ladder(googlenet=1.2, googlenet_3x3=1.0), ["0.8", "0.9", "1"]),
        (ladder_of_equals(), ["0.998", "0.999", "1", "1.001"]),
        (rungs.ladder(googlenet=50.0, googlenet_3x3=0.02), ["0.1", "1", "10"]),
    ],
    ids=["below 1", "narrow", "wide"],
)
def test_the_ticks_of_the_ratios_are_labelled(run: RunRecord, labels: list[str]) -> None:
    svg = style.svg(named(run)["ratios-fp32-batch-1-infer-cpu"])
    texts = list(ElementTree.fromstring(svg).itertext())  # noqa: S314 - our own
    assert set(labels) <= set(texts)


def test_a_step_that_changes_only_the_code_is_the_same_network() -> None:
    faster = rungs.ladder(torchvision=0.5)  # as fast as no step of the same network should be
    chart = named(faster)["ladder-fp32-batch-1-infer-cpu"]
    steps = {row["network"]: (row["shown"], row["step"]) for row in values(chart)}
    assert steps["torchvision"] == ("faster", "same network")
    assert steps["googlenet-3x3"] == ("faster", "faster")
    assert "The step to torchvision changes only the code" in chart.caption
    scale = chart.spec["spec"]["layer"][1]["encoding"]["color"]["scale"]
    colours = dict(zip(scale["domain"], scale["range"], strict=True))
    assert colours["same network"] not in {style.FASTER, style.SLOWER}
    (row,) = (row for row in values(chart) if row["network"] == "googlenet-3x3-pool2")
    assert row["step"] == row["shown"]


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


@pytest.mark.parametrize("chart", built(LADDER), ids=lambda chart: chart.name)
def test_every_svg_has_units_and_no_background(chart: Chart) -> None:
    svg = style.svg(chart)
    root = ElementTree.fromstring(svg)  # noqa: S314 - our own
    assert root.tag.endswith("svg")
    text = "".join(root.itertext())
    assert any(unit in text for unit in ("ms", "%", "images", "×"))
    assert 'fill="white"' not in svg.replace('fill="white" opacity="0"', "")


def test_symbols_without_a_colour_are_visible_on_black() -> None:
    run = replace(runs.small(), ceilings=runs.CEILINGS)
    (chart,) = (chart for name, chart in named(run).items() if name.startswith("roofline-"))
    svg = style.svg(chart)
    assert ">batch<" in svg  # the legend of the shapes
    assert 'fill="black"' not in svg


def test_hostile_name_is_escaped() -> None:
    hostile = replace(LADDER.cells[0].cell, arch="<script>alert(1)</script>")
    run = replace(LADDER, cells=(replace(LADDER.cells[0], cell=hostile), *LADDER.cells[1:]))
    for chart in charts.build(run):
        ElementTree.fromstring(style.svg(chart))  # noqa: S314 - our own
        assert "<script>" not in style.svg(chart)
        json.dumps(chart.spec)
