"""A metric that is added in one new file appears in every table that shows metrics."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from bench import registry
from bench.records import store
from tests.bench import runs
from tests.bench.gate.test_report import GATE
from tests.bench.metrics.plugin import PER_PARAMETER
from tests.limits import HANG_S

ROOT = Path(__file__).resolve().parents[3]
NAME, HEADING = PER_PARAMETER.name, PER_PARAMETER.heading


def bench(*arguments: str, plugins: str = "tests.bench.metrics.plugin") -> str:
    return subprocess.run(
        [sys.executable, "-m", "bench", *arguments],
        cwd=ROOT,
        env={**os.environ, registry.VARIABLE: plugins},
        capture_output=True,
        text=True,
        check=True,
        timeout=HANG_S,
    ).stdout


@pytest.fixture(scope="module")
def run_file(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("run") / "run.json"
    store.write(runs.small("complete"), path)
    return str(path)


@pytest.fixture(scope="module")
def folder(run_file: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reports")
    bench("report", run_file, "--report-dir", str(folder))
    return folder


def test_it_is_in_the_files_of_a_run(folder: Path) -> None:
    values = pd.read_csv(folder / "summary.csv").set_index(["arch", "mode", "batch_size"])[NAME]
    record = next(each for each in runs.small().cells if each.cell == runs.BATCH)
    assert runs.COST.params
    expected = len(record.host_s) * runs.BATCH.batch_size / runs.COST.params
    assert values["googlenet", "eager", runs.BATCH.batch_size] == pytest.approx(expected)
    for name in ("report.md", "report.html"):
        text = (folder / name).read_text(encoding="utf-8")
        assert HEADING in text
        assert PER_PARAMETER.explanation in " ".join(text.split())


def test_it_is_in_the_terminal_and_in_a_notebook(run_file: str) -> None:
    assert HEADING in bench("report", run_file)
    script = f"from bench import load; run = load({run_file!r}); print(run, run._repr_html_())"
    shown = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env={**os.environ, registry.VARIABLE: "tests.bench.metrics.plugin"},
        capture_output=True,
        text=True,
        check=True,
        timeout=HANG_S,
    ).stdout
    text, _, html = shown.partition("<table")
    assert HEADING in text
    assert HEADING in html


def test_it_is_in_the_comparison_of_runs(run_file: str) -> None:
    rows = json.loads(bench("compare", run_file, run_file, "--format", "json"))
    assert all(row[f"{NAME}_a"] == row[f"{NAME}_b"] for row in rows if f"{NAME}_a" in row)
    assert HEADING in bench("compare", run_file, run_file, "--format", "markdown")
    labels = ("--labels", "before,after")
    assert f"after: {HEADING}" in bench(
        "report", run_file, run_file, *labels, "--format", "markdown"
    )


def test_it_is_in_the_report_of_a_gate(tmp_path: Path) -> None:
    run = GATE.run_with_settings
    cells, bases = (
        tuple(replace(record, cost=runs.COST) for record in records)
        for records in (run.cells, run.bases)
    )
    store.write(replace(run, cells=cells, bases=bases), tmp_path / "run.json")
    bench("report", str(tmp_path / "run.json"))
    assert HEADING in (tmp_path / "gate.md").read_text(encoding="utf-8")


def test_without_its_file_it_is_nowhere(run_file: str, tmp_path: Path) -> None:
    bench("report", run_file, "--report-dir", str(tmp_path), plugins="")
    for name in ("summary.csv", "report.md", "report.html"):
        text = (tmp_path / name).read_text(encoding="utf-8")
        assert NAME not in text
        assert HEADING not in text
