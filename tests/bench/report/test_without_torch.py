"""A run file is enough to remake every report, on a machine without torch and pytest."""

import csv
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench.cells.plan import Plan
from bench.records import events, journal, store
from bench.records.record import SCHEMA_VERSION
from tests.bench import runs

ROOT = Path(__file__).resolve().parents[3]
MEASURING = ("torch", "torchvision", "fvcore", "pytest_benchmark", "pytest", "psutil", "cpuinfo")
MAIN = f"""
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {MEASURING!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Absent())
from bench.cli import main
sys.exit(main(sys.argv[1:]))
"""


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", MAIN, *arguments],
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "120"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def run_file(tmp_path: Path) -> Path:
    path = tmp_path / "run.json"
    store.write(runs.small(), path)
    return path


def test_reports_do_not_need_the_measuring_packages(run_file: Path) -> None:
    done = run("report", str(run_file))
    assert done.returncode == 0, done.stderr
    written = ("report.md", "report.html", "summary.csv", "ladder.csv", "trust.csv", "samples.csv")
    for name in written:
        assert (run_file.parent / name).stat().st_size > 0
        assert f"wrote {run_file.parent / name}" in done.stdout
    assert done.stderr == ""


@pytest.fixture
def journal_file(tmp_path: Path) -> Path:
    """Write the journal of a run killed after one round: the reference took 32 ms, the cell 16."""
    path = tmp_path / journal.FILE
    visit: dict[str, Any] = {"set_index": 0, "wave_index": 0, "round_index": 0}
    group = runs.EAGER.group
    plan = Plan(
        cells=(runs.REFERENCE_EAGER, runs.EAGER),
        sets=2,
        rounds=3,
        precision=0.02,
        extra_s=0.0,
        budget_s=None,
        seed=7,
        image_size=224,
    )
    with journal.Journal(path, on_error=lambda error: pytest.fail(str(error))) as events_file:
        events_file.append(
            events.Began(
                schema_version=SCHEMA_VERSION, plan=plan, environment=runs.small().environment
            )
        )
        events_file.append(events.WaveBegan(group, 0, 0))
        for cell, latency_s in ((runs.REFERENCE_EAGER, 0.032), (runs.EAGER, 0.016)):
            events_file.append(
                events.Visited(
                    cell=cell.id, **visit, dropped_s=0.1, host_s=(latency_s,), device_s=()
                )
            )
        events_file.append(
            events.RoundEnded(group=group, **visit, wall_s=0.2, foreign_cpus=0.0, voided=False)
        )
    with path.open("a") as file:
        file.write(
            '{"type":"Visited","cell":"googl'
        )  # a line that the killed process did not finish
    return path


def test_a_journal_is_reported_as_an_interrupted_run(journal_file: Path) -> None:
    done = run("report", str(journal_file), "--format", "csv")
    assert done.returncode == 0, done.stderr
    rows = {row["arch"]: row for row in csv.DictReader(done.stdout.splitlines())}
    assert float(rows["googlenet"]["latency_s"]) == pytest.approx(0.016)
    assert float(rows["torchvision"]["latency_s"]) == pytest.approx(0.032)
    assert "interrupted" in (journal_file.parent / "report.md").read_text()


def test_a_run_can_be_compared_with_a_journal(run_file: Path, journal_file: Path) -> None:
    done = run("compare", str(run_file), str(journal_file), "--format", "csv")
    assert done.returncode == 0, done.stderr
    rows = {
        row["cell"]: row
        for row in csv.DictReader(done.stdout.splitlines())
        if row["status"] == "compared"
    }
    assert rows.keys() == {runs.REFERENCE_EAGER.id, runs.EAGER.id}
    before = runs.BASE_S[runs.EAGER] / runs.BASE_S[runs.REFERENCE_EAGER]
    assert float(rows[runs.EAGER.id]["ratio_b_over_a"]) == pytest.approx(0.016 / 0.032 / before)
    assert rows[runs.EAGER.id]["advice"] == "inconclusive"  # there is only one set
    on_terminal = run("compare", str(run_file), str(journal_file)).stdout
    assert "an unknown commit, interrupted." in " ".join(on_terminal.split())


def test_measuring_without_torch_says_what_to_install() -> None:
    done = run("cost", "googlenet")
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == (
        "googlenet-bench: this command needs torch, which is not installed; "
        "install it with: pip install 'googlenet-bench[measure]'\n"
    )


@pytest.mark.parametrize("command", ["archs", "modes"])
def test_listing_names_does_not_need_the_measuring_packages(command: str) -> None:
    done = run(command, "--format", "csv")
    assert done.returncode == 0, done.stderr
    assert ("googlenet," if command == "archs" else "channels_last,") in done.stdout
