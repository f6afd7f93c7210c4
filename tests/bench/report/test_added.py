"""A section and a format that are added in one new file are in every report."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from bench import registry, stats
from bench.records import store
from tests.bench import runs
from tests.bench.report import plugin
from tests.limits import HANG_S

ROOT = Path(__file__).resolve().parents[3]
SLOWEST_S = max(sample for record in runs.small().cells for sample in record.host_s)


def bench(*arguments: str, plugins: str = plugin.__name__) -> str:
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
def run_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("run") / "run.json"
    store.write(runs.small(), path)
    return path


@pytest.fixture(scope="module")
def printed(run_file: Path) -> str:
    return bench("report", str(run_file))


def text(run_file: Path, name: str) -> str:
    return (run_file.parent / name).read_text(encoding="utf-8")


@pytest.mark.usefixtures("printed")
def test_the_section_is_in_the_markdown_and_cannot_add_html(run_file: Path) -> None:
    shown = text(run_file, "report.md").partition(f"## {plugin.SLOWEST.title}")[2]
    assert "&lt;b&gt;longest&lt;/b&gt; &amp; more" in shown
    assert f"{SLOWEST_S:.4f}" in shown
    assert "This section is a user's own." in shown


@pytest.mark.usefixtures("printed")
def test_the_section_is_in_the_page_and_its_list_of_sections(run_file: Path) -> None:
    page = text(run_file, "report.html")
    assert '<a href="#slowest">The slowest sample of all</a>' in page
    section = page[page.index('<section id="slowest"') :]
    assert "&lt;b&gt;longest&lt;/b&gt; &amp; more" in section
    assert f"{SLOWEST_S:.4f}" in section


def test_the_export_is_printed(run_file: Path) -> None:
    latencies_s = json.loads(bench("report", str(run_file), "--export", "seconds"))
    latency_s = stats.latency(runs.measured(runs.EAGER)).estimate
    assert latencies_s[runs.EAGER.id] == pytest.approx(latency_s)
    assert "seconds (latencies in seconds)" in " ".join(bench("report", "--help").split())


def test_the_section_is_printed(printed: str) -> None:
    assert plugin.SENTENCE in printed
    assert f"{SLOWEST_S:.4f}" in printed


@pytest.mark.usefixtures("printed")
def test_its_table_is_a_file_and_can_be_printed(run_file: Path) -> None:
    rows = pd.read_csv(run_file.parent / "slowest.csv", dtype=str)  # pandas 2.3 reads inexactly
    assert float(rows["slowest_s"].item()) == SLOWEST_S
    assert "slowest_s" in bench("report", str(run_file), "--table=slowest", "--format=csv")


@pytest.mark.usefixtures("printed")
def test_the_format_has_every_section(run_file: Path) -> None:
    lines = text(run_file, plugin.FILE).splitlines()
    assert lines[0] == "2 networks, 2 modes on AMD EPYC, 2 cores"
    assert {"Findings", "All cells", "Circumstances", plugin.SLOWEST.title} <= set(lines)


def test_without_their_file_there_is_nothing_of_them(tmp_path: Path) -> None:
    store.write(runs.small(), tmp_path / "run.json")
    printed = bench("report", str(tmp_path / "run.json"), plugins="")
    assert plugin.SLOWEST.title not in printed + text(tmp_path / "run.json", "report.md")
    assert not (tmp_path / plugin.FILE).exists()
    assert not (tmp_path / "slowest.csv").exists()
