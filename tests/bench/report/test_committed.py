"""The committed reports agree with their run files and tables."""

import re
from pathlib import Path

import pandas as pd
import pytest

from bench.columns import milliseconds
from bench.means import Interval
from bench.records import store
from bench.report import charts, ladder
from bench.report.phrases import percent_change
from bench.stages import store as stages
from bench.tables import escaped
from googlenet.variants import VARIANTS
from tests.bench.pages import table_figures
from tests.bench.report.rendered import markdown

REPORTS = sorted((Path(__file__).resolve().parents[3] / "reports").glob("*/run.json"))
each_report = pytest.mark.parametrize("run_file", REPORTS, ids=lambda path: path.parent.name)


def test_at_least_one_report_is_committed() -> None:
    assert REPORTS


@each_report
def test_the_figures_are_reproduced_from_the_run_file(run_file: Path) -> None:
    run = store.read(run_file)
    text = (run_file.parent / "report.md").read_text(encoding="utf-8")
    inside = stages.read(run_file.parent / stages.FILE)
    again = markdown(run, charts.build(run, inside), inside)
    assert table_figures(text) == table_figures(again) != []


@each_report
def test_the_fastest_cell_agrees_with_the_table(run_file: Path) -> None:
    text = (run_file.parent / "report.md").read_text(encoding="utf-8")
    rows = pd.read_csv(run_file.parent / "summary.csv")
    measured = rows[rows["status"] == "measured"]
    groups = measured.groupby(["dtype", "batch_size", "task", "device"])
    assert len(groups) == len(re.findall("has the lowest latency", text))
    for _, group in groups:
        first = min(group.to_dict("records"), key=lambda row: row["latency_s"])
        low, middle, high = (
            milliseconds(first[f"latency_s{end}"]) for end in ("_low", "", "_high")
        )
        name = escaped(f"{first['arch']} in {first['mode']}")
        assert f"- {name} has the lowest latency, {middle} ({low}–{high}) ms" in text


@each_report
def test_every_factor_agrees_with_the_ladder_table(run_file: Path) -> None:
    text = (run_file.parent / "report.md").read_text(encoding="utf-8")
    findings = text[text.index("## Findings") : text.index("## One factor at a time")]
    same = {step.after for step in ladder.steps(VARIANTS) if step.is_same_network}
    count = 0
    for row in pd.read_csv(run_file.parent / "ladder.csv").to_dict("records"):
        if row["after"] in same or row["latency_ratio_low"] <= 1 <= row["latency_ratio_high"]:
            continue
        ratio = Interval(
            estimate=row["latency_ratio"],
            low=row["latency_ratio_low"],
            high=row["latency_ratio_high"],
            sets=row["sets"],
        )
        assert escaped(f"{percent_change(ratio)} in {row['mode']}") in findings
        count += 1
    assert count == len(re.findall(r"\) (?:less|more) latency", findings))
