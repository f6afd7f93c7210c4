"""The front of accuracy and speed, of made-up cells whose order is known."""

import html
import math
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

import msgspec
import pandas as pd
import pytest

from bench import metrics
from bench.metrics.metric import Better
from bench.records import store
from bench.records.record import BackToBack, CellRecord, RunRecord
from bench.report import charts, files, front, sections
from bench.report.formats.terminal import captured
from bench.report.section import Source, build
from bench.report.sections.front import FRONT
from bench.units import MIB
from tests.bench import runs
from tests.bench.report import fronts
from tests.bench.report.charts.test_charts import SCHEMA
from tests.bench.report.fronts import measured
from tests.bench.report.page.pages import HOSTILE
from tests.bench.report.rendered import markdown, page
from tests.bench.report.test_golden import GOLDEN

SLOW = measured("slow", 70.0, (20, 20, 20))
FAST = measured("fast", 70.0, (10, 10, 10))
ACCURATE = measured("accurate", 80.0, (30, 30, 30))
POOR = measured("poor", 60.0, (15, 15, 15))


def compared(*records: CellRecord, axis: str = "latency") -> front.Comparison:
    """Return the comparison in a run of these cells, the first of which is the reference."""
    return front.Comparison(metric=metrics.axes()[axis], run=fronts.of(*records))


def verdicts(*records: CellRecord, axis: str = "latency") -> dict[str, str]:
    """Return the verdict on each cell, with the cell that dominates it."""
    result = {}
    for record in records:
        found = front.standing(record, records, compared(*records, axis=axis))
        by = found.dominated_by
        result[record.cell.arch] = found.front if by is None else f"{found.front}: {by.cell.arch}"
    return result


def test_the_front_has_the_fastest_and_the_most_accurate_and_what_lies_between() -> None:
    assert verdicts(FAST, ACCURATE, POOR, measured("between", 75.0, (25, 25, 25))) == {
        "fast": "yes",
        "accurate": "yes",
        "poor": "no: fast",
        "between": "yes",
    }


def test_a_single_cell_is_on_the_front() -> None:
    assert verdicts(SLOW) == {"slow": "yes"}


def test_of_equal_accuracies_the_faster_dominates() -> None:
    assert verdicts(SLOW, FAST) == {"slow": "no: fast", "fast": "yes"}


def test_equal_cells_are_on_the_front_together() -> None:
    assert verdicts(FAST, measured("twin", 70.0, (10, 10, 10))) == {"fast": "yes", "twin": "yes"}


def test_a_more_accurate_cell_that_is_as_fast_is_better() -> None:
    better = measured("better", 71.0, (10, 10, 10))
    # The interval of equal cells is 1 to 1: it does not show that one of them is faster.
    assert verdicts(FAST, better) == {"fast": "unclear", "better": "yes"}


@pytest.mark.parametrize(
    ("set_ms", "verdict"),
    [
        # Ratios to ``fast`` of 1.2, 0.95 and 1.1: the interval of their mean contains 1.
        ((12, 9.5, 11), "unclear"),
        ((12, 11.5, 11), "no: fast"),
        # Both double from set to set. Their latencies' intervals overlap; the ratio is exactly 1.1.
        ((11, 22, 44), "no: drifting"),
    ],
)
def test_a_cell_is_dominated_only_if_the_interval_of_the_ratio_shows_it(
    set_ms: Sequence[float], verdict: str
) -> None:
    other = measured("drifting", 70.0, (10, 20, 40)) if "drifting" in verdict else FAST
    assert verdicts(other, measured("cell", 69.0, set_ms))["cell"] == verdict


def noisy(arch: str, rng: random.Random, sets: int) -> CellRecord:
    """Return a cell of 10 ms, in processes that differ by 3 %."""
    return measured(arch, 70.0, [10 * math.exp(rng.gauss(0, 0.03)) for _ in range(sets)])


@pytest.mark.parametrize("sets", [3, 10])
def test_of_many_identical_networks_at_most_one_in_twenty_is_called_dominated(sets: int) -> None:
    networks, runs_of_networks = 20, 20
    shares = []
    for seed in range(runs_of_networks):
        rng = random.Random(seed)
        records = [noisy(f"network{index}", rng, sets) for index in range(networks)]
        comparison = compared(*records)
        found = [front.standing(record, records, comparison).front for record in records]
        assert found.count(front.ON_FRONT) == 1  # the fastest by the estimates
        shares.append(found.count(front.DOMINATED) / networks)
    assert fmean(shares) <= 0.05


def test_each_cell_of_at_least_its_accuracy_makes_the_intervals_wider() -> None:
    # The t of the log ratios to FAST is 5.2. With 2 degrees of freedom, one comparison needs 4.3
    # (95 %) and each of two needs 6.2 (97.5 %).
    cell = measured("cell", 69.0, (10.5, 11.0, 10.7))
    assert verdicts(FAST, cell)["cell"] == "no: fast"
    assert verdicts(FAST, cell, POOR)["cell"] == "no: fast"
    assert verdicts(FAST, cell, SLOW)["cell"] == "unclear"


def test_two_sets_that_differ_much_show_nothing_however_many_cells_there_are() -> None:
    cell = measured("cell", 69.0, (20, 2000))
    accurate = [measured(f"accurate{index}", 70.0, (10, 10)) for index in range(200)]
    assert front.standing(cell, accurate, compared(cell, *accurate)).front == "unclear"


def test_one_set_shows_nothing() -> None:
    assert verdicts(measured("a", 70.0, (10,)), measured("b", 69.0, (20,))) == {
        "a": "yes",
        "b": "unclear",
    }


def test_the_fastest_of_those_that_dominate_is_named_and_of_equals_the_most_accurate() -> None:
    fastest = measured("fastest", 71.0, (5, 5, 5))
    best = measured("best", 72.0, (5, 5, 5))
    assert verdicts(SLOW, FAST, fastest, best)["slow"] == "no: best"
    assert verdicts(SLOW, FAST, fastest)["slow"] == "no: fastest"


def test_a_less_accurate_cell_never_dominates() -> None:
    assert verdicts(ACCURATE, FAST) == {"accurate": "yes", "fast": "yes"}


def test_cells_of_different_waves_are_compared_through_the_reference() -> None:
    def in_wave(record: CellRecord, wave: int, factor: float = 1.0) -> CellRecord:
        return replace(
            record,
            visits=tuple(
                replace(visit, wave_index=wave, host_s=tuple(factor * s for s in visit.host_s))
                for visit in record.visits
            ),
        )

    # In the second wave the machine is a third as fast, so FAST has the higher latency.
    later = in_wave(FAST, 1, factor=3)
    reference = measured("reference", 90.0, (40, 40, 40))
    both = replace(reference, visits=(*reference.visits, *in_wave(reference, 1, 3).visits))
    assert verdicts(both, SLOW, later) == {
        "reference": "yes",
        "slow": "no: fast",
        "fast": "yes",
    }


def test_cells_without_a_common_set_are_compared_by_latency_which_shows_nothing() -> None:
    def in_set(record: CellRecord, index: int) -> CellRecord:
        return replace(record, visits=tuple(v for v in record.visits if v.set_index == index))

    records = (in_set(SLOW, 0), in_set(FAST, 1))
    comparison = compared(*records)
    assert front.standing(records[0], records, comparison) == front.Standing(front="unclear")
    assert front.standing(records[1], records, comparison) == front.Standing(front="yes")


def counted(record: CellRecord, **counts: Any) -> CellRecord:
    return replace(record, cost=msgspec.structs.replace(record.cost, **counts))


def of_memory(record: CellRecord, *set_mib: int) -> CellRecord:
    """Return a cell with a peak of memory in each set."""
    setups = tuple(
        msgspec.structs.replace(runs.setup(0), peak_memory_bytes=n * MIB) for n in set_mib
    )
    return replace(record, setups=setups)


def with_blocks(record: CellRecord, *set_ms: float) -> CellRecord:
    """Return a cell with a back-to-back block in each visit, of this time per iteration."""
    visits = tuple(
        replace(
            visit,
            back_to_back=BackToBack(
                iterations=10,
                host_s=set_ms[visit.set_index] / 100,
                enqueue_s=0.001,
                device_s=0.001,
                busy_s=0.001,
            ),
        )
        for visit in record.visits
    )
    return replace(record, visits=visits)


def test_counts_are_compared_by_the_figure_alone() -> None:
    few, twin = counted(SLOW, params=5), counted(measured("twin", 70.0, (1, 1, 1)), params=5)
    many = counted(FAST, params=6)
    assert verdicts(few, twin, many, axis="params") == {
        "slow": "yes",
        "twin": "yes",
        "fast": "no: slow",
    }
    # A more accurate network with as many parameters is better, which needs no interval.
    assert verdicts(few, counted(ACCURATE, params=5), axis="params")["slow"] == "no: accurate"
    assert verdicts(few, counted(POOR, params=1), axis="params") == {"slow": "yes", "poor": "yes"}


def test_macs_that_are_a_lower_bound_dominate_nothing() -> None:
    few, many = counted(FAST, macs_per_image=5), counted(SLOW, macs_per_image=6)
    assert verdicts(few, many, axis="macs") == {"fast": "yes", "slow": "no: fast"}
    bound = counted(few, uncounted={"aten::own": 1})
    assert verdicts(bound, many, axis="macs") == {"fast": "yes", "slow": "unclear"}


def test_memory_is_compared_by_the_interval_over_sets() -> None:
    less, more = of_memory(SLOW, 100, 101, 99), of_memory(FAST, 200, 202, 198)
    assert verdicts(less, more, axis="memory") == {"slow": "yes", "fast": "no: slow"}
    # The medians are 100 and 110, and the interval of the ratio contains 1.
    like = of_memory(FAST, 90, 130, 110)
    assert verdicts(less, like, axis="memory") == {"slow": "yes", "fast": "unclear"}
    # The figure in the table, the median, decides what is on the front, not the mean of the ratio.
    once = of_memory(FAST, 101, 101, 10)
    assert verdicts(less, once, axis="memory")["slow"] == "yes"


def test_throughput_is_compared_by_back_to_back_blocks_where_more_is_better() -> None:
    # FAST has half the latency, and twice the time of an iteration.
    slow, fast = with_blocks(SLOW, 5, 5.1, 5), with_blocks(FAST, 10, 10, 10.1)
    assert verdicts(slow, fast, axis="throughput") == {"slow": "yes", "fast": "no: slow"}
    assert verdicts(slow, fast) == {"slow": "no: fast", "fast": "yes"}
    # Without blocks, the throughput is that of the latency.
    assert verdicts(SLOW, FAST, axis="throughput") == {"slow": "no: fast", "fast": "yes"}


def on_axes(run: RunRecord, *axes: str) -> RunRecord:
    return replace(run, plan=msgspec.structs.replace(run.plan, front=axes))


AXES = fronts.of(
    counted(SLOW, params=5_000_000),
    counted(FAST, params=9_000_000),
    counted(ACCURATE, params=7_000_000),
    counted(measured("uncounted", 75.0, (15, 15, 15)), params=None),
)


def test_a_run_may_have_several_fronts() -> None:
    run = on_axes(AXES, "latency", "params")
    found = front.frame(run).set_index(["axis", "arch"])["front"].to_dict()
    assert found == {
        ("latency", "accurate"): "yes",
        ("latency", "uncounted"): "yes",
        ("latency", "fast"): "yes",
        ("latency", "slow"): "no",
        ("params", "accurate"): "yes",
        ("params", "slow"): "yes",
        ("params", "fast"): "no",
    }
    names = [chart.name for chart in charts.build(run) if chart.name.startswith("front-")]
    assert names == ["front-fp32-batch-1-infer-cpu", "front-params-fp32-batch-1-infer-cpu"]
    text = " ".join(captured(build(FRONT, Source(run=run)).blocks).split())
    assert (
        "The front, from the least accurate cell to the most accurate: slow in eager, 70.00 % with "
        "5.000 M parameters; accurate in eager, 80.00 % with 7.000 M parameters."
    ) in text
    assert "Not compared, because the accuracy or the figure is unknown: uncounted." in text
    assert "MACs and parameters are exact" in text


def test_an_axis_that_is_not_installed_is_left_out() -> None:
    assert set(front.frame(on_axes(AXES, "sparkle"))["axis"]) == {"latency"}
    assert set(front.frame(on_axes(AXES, "sparkle", "params"))["axis"]) == {"params"}


@pytest.mark.parametrize("name", metrics.axes())
def test_every_axis_has_a_table_and_a_chart_whose_better_side_is_left(name: str) -> None:
    run = on_axes(store.read(GOLDEN / "accuracy" / "run.json"), name)
    metric = metrics.axes()[name]
    columns, found = sections.tables()["front"].compute(run)
    assert set(found["axis"]) <= {name}
    assert metric.name in {column.name for column in columns}
    for chart in charts.build(run):
        if chart.name.startswith("front-"):
            (x,) = {
                layer["encoding"]["x"].get("scale", {}).get("reverse", False)
                for layer in chart.spec["layer"]
                if layer["encoding"]["x"].get("scale")
            }
            assert x is (metric.better is Better.MORE)
            assert SCHEMA.is_valid(chart.spec)


def rows(run: RunRecord) -> dict[tuple[str, str], dict[str, Any]]:
    return {
        (row["arch"], row["mode"]): {
            str(name): None if pd.isna(value) else value for name, value in row.items()
        }
        for row in front.frame(run).to_dict("records")
    }


TWO_MODES = fronts.of(
    SLOW,
    ACCURATE,
    POOR,
    measured("unknown", None, (1, 1, 1)),
    measured("slow", 70.0, (12, 12, 12), mode="compile"),
    measured("poor", 60.0, (18, 18, 18), mode="compile"),
)


def test_a_cell_has_a_verdict_in_its_group_and_in_its_mode() -> None:
    assert {
        name: (
            *(row["front"], row["dominated_by"]),
            *(row["front_of_mode"], row["dominated_by_of_mode"]),
        )
        for name, row in rows(TWO_MODES).items()
    } == {
        ("accurate", "eager"): ("yes", None, "yes", None),
        ("slow", "compile"): ("yes", None, "yes", None),
        ("slow", "eager"): ("no", "slow in compile", "yes", None),
        ("poor", "eager"): ("no", "slow in compile", "yes", None),
        ("poor", "compile"): ("no", "slow in compile", "no", "slow in compile"),
    }


def test_the_front_comes_first_and_then_the_others_by_falling_accuracy() -> None:
    assert list(rows(TWO_MODES)) == [
        ("accurate", "eager"),
        ("slow", "compile"),
        ("slow", "eager"),
        ("poor", "eager"),
        ("poor", "compile"),
    ]


def test_rows_have_the_figures_of_the_cell() -> None:
    row = rows(TWO_MODES)["slow", "compile"]
    assert row["latency_s"] == pytest.approx(0.012)
    assert row["images_per_s"] == pytest.approx(1 / 0.012)
    assert (row["accuracy"], row["sets"]) == (70.0, 3)
    assert row["accuracy_source"] == "weights of slow on ImageNet-1K"
    assert (row["macs_per_image"], row["params"]) == (runs.MACS, runs.PARAMS)


def test_two_networks_of_known_accuracy_have_no_front() -> None:
    two = fronts.of(SLOW, FAST, measured("unknown", None, (1, 1, 1)))
    for run in (two, runs.small()):
        assert front.frame(run).empty
        assert "Accuracy and speed" not in markdown(run)
    twice = fronts.of(SLOW, FAST, measured("slow", 70.0, (9, 9, 9), mode="compile"))
    assert front.frame(twice).empty
    assert len(front.frame(fronts.of(SLOW, FAST, POOR))) == 3


def test_each_group_has_its_own_front() -> None:
    def at(record: CellRecord, batch_size: int) -> CellRecord:
        return replace(record, cell=replace(record.cell, batch_size=batch_size))

    small = (SLOW, FAST, POOR)
    run = fronts.of(*small, *(at(record, 8) for record in small[1:]), at(ACCURATE, 8))
    found = front.frame(run)
    assert set(zip(found["batch_size"], found["arch"], found["front"], strict=True)) == {
        (1, "fast", "yes"),
        (1, "slow", "no"),
        (1, "poor", "no"),
        (8, "fast", "yes"),
        (8, "accurate", "yes"),
        (8, "poor", "no"),
    }


def test_a_failed_cell_is_not_on_the_front() -> None:
    failed = replace(FAST, failure=runs.FAILURE)
    assert ("fast", "eager") not in rows(fronts.of(SLOW, failed, ACCURATE, POOR))


def section(run: RunRecord) -> str:
    return captured(build(FRONT, Source(run=run)).blocks)


def test_the_section_says_what_is_on_the_front_and_what_is_not_compared() -> None:
    text = section(TWO_MODES)
    assert (
        "• The front, from the fastest cell to the most accurate: slow in compile, 70.00 % in "
        "12.0 (12.0–12.0) ms; accurate in eager, 80.00 % in 30.0 (30.0–30.0) ms."
    ) in " ".join(text.split())
    assert "• Dominated: 3 cells." in text
    assert "• Not compared, because the accuracy is unknown: unknown." in text
    assert "no: dominated by slow in compile" in text
    assert "• poor: the accuracy of weights of poor on ImageNet-1K." in text
    assert "front of its mode" in text


def test_the_section_of_one_mode_says_what_one_cell_alone_is_better_than() -> None:
    unclear = measured("unclear", 70.0, (12, 9.5, 11))
    text = section(fronts.of(FAST, unclear, POOR))
    assert (
        "• No other cell is faster or more accurate than fast in eager, 70.00 % in "
        "10.0 (10.0–10.0) ms."
    ) in " ".join(text.split())
    assert "• Dominated: 1 cell. Unclear: unclear in eager." in text
    assert "front of its mode" not in text
    assert "Not compared" not in text


def test_accuracies_that_one_decimal_would_make_equal_are_told_apart() -> None:
    close = measured("close", 70.02, (20, 20, 20))
    text = " ".join(section(fronts.of(FAST, close, POOR)).split())
    assert "fast in eager, 70.00 % in" in text
    assert "close in eager, 70.02 % in" in text


def test_names_of_a_run_are_escaped_in_the_section() -> None:
    hostile = fronts.of(measured(HOSTILE, 71.0, (5, 5, 5)), SLOW, POOR)
    assert "<img src=x" not in page(hostile)
    assert "<img src=x" not in markdown(hostile)


def test_names_with_the_characters_of_code_and_addresses_are_whole_in_the_section() -> None:
    run = fronts.of_code()
    text = " ".join(section(run).split())
    assert f"front, from the fastest cell to the most accurate: {fronts.CODE_NAMES[-1]} in" in text
    as_html = page(run)
    for name in fronts.CODE_NAMES:
        assert f"• {name}: the accuracy of weights of {name} on ImageNet-1K." in text
        assert html.escape(name) in as_html


def test_the_table_is_a_file_and_a_run_without_a_front_removes_it(tmp_path: Path) -> None:
    assert tmp_path / "front.csv" in files.write(TWO_MODES, tmp_path)
    read = pd.read_csv(tmp_path / "front.csv")
    assert list(read["front"]) == list(front.frame(TWO_MODES)["front"])
    assert (tmp_path / "charts/front-fp32-batch-1-infer-cpu.svg").exists()
    files.write(runs.small(), tmp_path)
    assert not (tmp_path / "front.csv").exists()
    assert not (tmp_path / "charts/front-fp32-batch-1-infer-cpu.svg").exists()


def test_the_columns_of_the_table_are_those_of_the_frame() -> None:
    columns, found = sections.tables()["front"].compute(TWO_MODES)
    assert {column.name for column in columns} <= set(found.columns)
