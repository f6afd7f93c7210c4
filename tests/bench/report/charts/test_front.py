"""The chart of accuracy and speed."""

from itertools import pairwise
from typing import Any
from xml.etree import ElementTree

import pytest

from bench.records.record import RunRecord
from bench.report import charts
from bench.report.chart import Chart
from bench.report.charts import style
from tests.bench import runs
from tests.bench.report import fronts
from tests.bench.report.fronts import measured

HEIGHT = 320  # of a plot without names above it, in pixels
LINE = 12  # least distance of two names, in pixels; their font is 10 high
NAME = "front-fp32-batch-1-infer-cpu"


def drawn(run: RunRecord) -> Chart:
    (chart,) = (chart for chart in charts.build(run) if chart.name == NAME)
    return chart


def rows(chart: Chart) -> list[dict[str, Any]]:
    (values,) = chart.spec["datasets"].values()
    return list(values)


def test_each_cell_of_known_accuracy_has_a_symbol_and_its_interval() -> None:
    values = {(row["arch"], row["mode"]): row for row in rows(drawn(fronts.several()))}
    assert len(values) == 14
    row = values["torchvision:mobilenet_v2", "compile"]
    assert row["low"] < row["figure"] < row["high"]
    assert (row["front"], row["is_front"]) == ("unclear", False)
    assert values["torchvision", "eager"]["front"] == "no, dominated"
    by = values["torchvision", "eager"]["dominated_by"]
    assert by == "torchvision:mobilenet_v3_large in compile"


def test_a_run_of_one_set_has_a_chart_without_intervals() -> None:
    records = [measured(name, 60.0 + index, (10 + index,)) for index, name in enumerate("abc")]
    assert all(
        row["low"] == row["figure"] == row["high"] for row in rows(drawn(fronts.of(*records)))
    )
    assert {row["is_front"] for row in rows(drawn(fronts.of(*records)))} == {True}


def test_a_run_without_a_front_has_no_chart() -> None:
    assert not [chart for chart in charts.build(runs.small()) if chart.name.startswith("front-")]


@pytest.mark.parametrize(
    "run", [fronts.several(), fronts.many(), fronts.close()], ids=["several", "many", "close"]
)
def test_names_stand_above_their_symbols_and_apart_from_each_other(run: RunRecord) -> None:
    chart = drawn(run)
    low, high = chart.spec["layer"][0]["encoding"]["y"]["scale"]["domain"]
    pixels = chart.spec["height"] / (high - low)
    named = sorted((row["accuracy"], row["label"]) for row in rows(chart) if row["is_front"])
    assert len(named) > 3
    assert all((label - accuracy) * pixels > LINE / 2 for accuracy, label in named)
    assert all((after - before) * pixels >= LINE for (_, before), (_, after) in pairwise(named))
    assert all(label <= high for _, label in named)


def test_the_plot_is_higher_only_if_names_would_be_above_it() -> None:
    assert drawn(fronts.several()).spec["height"] == HEIGHT
    chart = drawn(fronts.close())
    assert chart.spec["height"] > HEIGHT
    _, high = chart.spec["layer"][0]["encoding"]["y"]["scale"]["domain"]
    assert high > max(row["label"] for row in rows(chart)) > 80.2


def test_the_svg_names_the_front_and_only_the_front() -> None:
    chart = drawn(fronts.several())
    texts = list(ElementTree.fromstring(style.svg(chart)).itertext())  # noqa: S314 - our own
    named = [text for text in texts if text.startswith("torchvision")]
    assert sorted(named) == [
        "torchvision:efficientnet_b0",
        "torchvision:mobilenet_v3_large",
        "torchvision:resnet50",
        "torchvision:squeezenet1_1",
    ]
    assert {"yes", "unclear", "no, dominated", "eager", "compile"} <= set(texts)


def test_the_svg_has_names_with_the_characters_of_code_and_addresses() -> None:
    chart = drawn(fronts.of_code())
    assert chart.names == tuple(fronts.CODE_NAMES)
    texts = set(ElementTree.fromstring(style.svg(chart)).itertext())  # noqa: S314 - our own
    assert set(fronts.CODE_NAMES) <= texts


def test_all_networks_can_be_searched_for() -> None:
    chart = drawn(fronts.several())
    known = {arch for arch, (accuracy, _) in fronts.NETWORKS.items() if accuracy is not None}
    assert set(chart.names) == known
    assert len(chart.names) == len(known)
    assert {"name": "search", "value": ""} in chart.spec["params"]
