"""Collect real, very small sets and calibrations."""

import math
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from bench.exits import Exit
from bench.launch.launchers import Launcher, Spawner
from bench.studies.power import calibration, report, sets, table
from bench.studies.power import command as power
from bench.studies.power.cases import PROTOCOL, Case
from bench.studies.power.sets import SetRow
from tests.bench.engine.running import Watcher
from tests.limits import HANG_S

pytestmark = [pytest.mark.workers, pytest.mark.slow]

EAGER = Case(mode="eager", kind="python", percent=50.0)


@pytest.fixture
def _small_images(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = sets._plan
    monkeypatch.setattr(
        sets, "_plan", lambda *args, **kwargs: replace(plan(*args, **kwargs), image_size=64)
    )


@pytest.mark.usefixtures("_small_images")
def test_calibrated_units_are_proportional_to_the_slowdown(
    monkeypatch: pytest.MonkeyPatch, fork_server: Launcher
) -> None:
    monkeypatch.setattr(calibration, "SETS", 1)
    # More than twice as slow, so that one set shows it on the busiest machine.
    monkeypatch.setattr(calibration, "_PROBES", {"python": 400})
    larger = Case(mode="eager", kind="python", percent=500.0)
    same = Case(mode="eager", kind="none", percent=0.0)
    monkeypatch.setattr("bench.engine.local.wave.foreign_cpus", lambda *_: 0.0)
    cases = [same, EAGER, larger]
    amounts = calibration.amounts(cases, fork_server, Watcher())
    assert amounts[same] == 0
    assert 1 <= amounts[EAGER] < amounts[larger]
    assert amounts[larger] == pytest.approx(10 * amounts[EAGER], abs=10)


@pytest.mark.parametrize(("share", "unit_share", "expected"), [(0.05, 0.002, 25), (0.03, 10, 1)])
def test_units_are_whole_and_at_least_one(share: float, unit_share: float, expected: int) -> None:
    assert calibration.units(share, unit_share) == expected


def row(amount: int, log_ratio: float, case: Case = EAGER) -> SetRow:
    return SetRow(
        began="2026-01-01T00:00:00+00:00",
        load="quiet",
        mode=case.mode,
        kind=case.kind,
        percent=case.percent,
        amount=amount,
        rounds=20,
        protocol=PROTOCOL,
        log_ratio=log_ratio,
        base_s=0.05,
        torch="2.11.0",
    )


def test_units_are_interpolated_between_sets() -> None:
    other = replace(EAGER, mode="channels_last")
    rows = [row(10, 0.1), row(10, 0.3), row(30, math.log(1.8)), row(40, math.nan), row(1, 9, other)]
    at_10 = math.exp(0.2) - 1
    assert calibration.from_sets(replace(EAGER, percent=100 * at_10), rows) == 10
    assert calibration.from_sets(replace(EAGER, percent=50 * (at_10 + 0.8)), rows) == 20
    assert calibration.from_sets(replace(EAGER, percent=50 * at_10), rows) == 5
    assert calibration.from_sets(replace(EAGER, percent=81), rows) is None
    assert calibration.from_sets(EAGER, []) is None
    assert calibration.from_sets(EAGER, [row(10, 0.9), row(30, 0.1)]) is None  # noise


@pytest.mark.usefixtures("_small_images")
def test_each_set_has_a_row_for_each_case(fork_server: Launcher) -> None:
    saved: list[list[SetRow]] = []
    amounts = {Case(mode="eager", kind="none", percent=0.0): 0, EAGER: 1_000}
    sets.collect(
        amounts, 2, fork_server, Watcher(), load="quiet", save=lambda rows: saved.append(list(rows))
    )
    assert [[row.case for row in rows] for rows in saved] == [list(amounts), list(amounts)]
    for _, slower in saved:
        assert slower.amount == 1_000
        is_void = math.isnan(slower.log_ratio)  # if other processes use the CPUs
        assert is_void or (slower.log_ratio > 0.2 and slower.base_s > 0)


def test_without_options_the_report_is_written_from_the_collected_rows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    same = Case(mode="eager", kind="none", percent=0.0)
    rows = [
        replace(row(0, (-1) ** index * 0.001, same), began=f"2026-01-01T00:00:{index:02}+00:00")
        for index in range(9)
    ]
    table.append(tmp_path / report.SETS_FILE, rows)
    assert power.main(["--report-dir", str(tmp_path)]) == 0
    page = (tmp_path / report.FILE).read_text(encoding="utf-8")
    assert "0% (0%–71%; 0 of 3) of the verdicts on a cell were `regressed`" in page
    assert "wrote" in capsys.readouterr().err


def has_worker(pid: int) -> bool:
    """Return whether a process has started a worker; its libraries start other children too."""
    for child in psutil.Process(pid).children():
        with suppress(psutil.Error):
            if "bench.worker.worker" in child.cmdline():
                return True
    return False


def test_an_interrupt_before_the_first_set_ends_with_a_message(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.studies.power", "--report-dir", str(tmp_path), "--sets=1"],
        stderr=subprocess.PIPE,
        text=True,
    )
    while process.poll() is None and not has_worker(process.pid):
        time.sleep(0.01)  # until a worker is asked about the machine
    process.send_signal(signal.SIGINT)
    _, message = process.communicate(timeout=HANG_S)
    assert message.strip() == "gate_power: interrupted"
    assert process.returncode == Exit.WRONG_REQUEST
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("option", ["--sets", "--gates"])
@pytest.mark.parametrize("value", ["-3", "many"])
def test_an_invalid_count_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], option: str, value: str
) -> None:
    with pytest.raises(SystemExit) as caught:
        power.main([f"{option}={value}", "--report-dir", str(tmp_path)])
    assert caught.value.code == Exit.WRONG_REQUEST
    assert f"argument {option}: expected a number of 0 or more, not" in capsys.readouterr().err


def test_workers_are_not_forked_on_macos(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.system", lambda: "Darwin")
    with power._launcher() as workers:
        assert isinstance(workers, Spawner)


def test_an_unknown_plan_is_refused_with_a_message(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert power.main(["--plan", "nonsense", "--report-dir", str(tmp_path)]) == Exit.WRONG_REQUEST
    assert "nonsense" in capsys.readouterr().err
