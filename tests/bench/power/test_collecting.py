"""Real sets and a real calibration, as small as they can be."""

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

from bench.engine.launch import Launcher, Spawner
from bench.exits import Exit
from bench.power import calibration, report, sets, table
from bench.power import command as power
from bench.power.cases import PROTOCOL, Case
from bench.power.sets import SetRow
from tests.bench.engine.running import Watcher

EAGER = Case(mode="eager", kind="python", percent=50.0)


def test_a_calibration_gives_units_in_proportion(
    monkeypatch: pytest.MonkeyPatch, fork_server: Launcher
) -> None:
    monkeypatch.setattr(calibration, "SETS", 1)
    # More than twice as slow, so that one set tells it on the busiest machine.
    monkeypatch.setattr(calibration, "_PROBES", {"python": 1000})
    larger = Case(mode="eager", kind="python", percent=500.0)
    same = Case(mode="eager", kind="none", percent=0.0)
    monkeypatch.setattr("bench.engine.wave.foreign_cpus", lambda *_: 0.0)
    cases = [same, EAGER, larger]
    found = calibration.amounts(cases, fork_server, Watcher())
    assert found[same] == 0
    assert 1 <= found[EAGER] < found[larger]
    assert found[larger] == pytest.approx(10 * found[EAGER], abs=10)


@pytest.mark.parametrize(("share", "of_unit", "expected"), [(0.05, 0.002, 25), (0.03, 10, 1)])
def test_units_are_whole_and_one_at_the_least(share: float, of_unit: float, expected: int) -> None:
    assert calibration.units(share, of_unit) == expected


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


def test_sets_tell_what_units_take() -> None:
    other = replace(EAGER, mode="channels_last")
    rows = [row(10, 0.1), row(10, 0.3), row(30, math.log(1.8)), row(40, math.nan), row(1, 9, other)]
    at_10 = math.exp(0.2) - 1
    assert calibration.of_sets(replace(EAGER, percent=100 * at_10), rows) == 10
    assert calibration.of_sets(replace(EAGER, percent=50 * (at_10 + 0.8)), rows) == 20
    assert calibration.of_sets(replace(EAGER, percent=50 * at_10), rows) == 5
    assert calibration.of_sets(replace(EAGER, percent=81), rows) is None
    assert calibration.of_sets(EAGER, []) is None
    assert calibration.of_sets(EAGER, [row(10, 0.9), row(30, 0.1)]) is None  # noise


def test_each_set_gives_a_row_for_each_case(fork_server: Launcher) -> None:
    kept: list[list[SetRow]] = []
    amounts = {Case(mode="eager", kind="none", percent=0.0): 0, EAGER: 3_000}
    sets.collect(
        amounts, 2, fork_server, Watcher(), load="quiet", keep=lambda rows: kept.append(list(rows))
    )
    assert [[row.case for row in rows] for rows in kept] == [list(amounts), list(amounts)]
    for _, slower in kept:
        assert slower.amount == 3_000
        is_void = math.isnan(slower.log_ratio)  # on a machine that others keep busy
        assert is_void or (slower.log_ratio > 0.2 and slower.base_s > 0)


def test_without_options_the_report_is_written_anew(
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
    assert "0% (0%–71%; 0 of 3) of verdicts on a cell were `regressed`" in page
    assert "wrote" in capsys.readouterr().err


def has_worker(pid: int) -> bool:
    """Whether a process has started a worker: libraries that it imports start others."""
    for child in psutil.Process(pid).children():
        with suppress(psutil.Error):
            if "bench.worker" in child.cmdline():
                return True
    return False


def test_an_interrupt_before_anything_was_collected_is_a_sentence(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.power", "--report-dir", str(tmp_path), "--sets=1"],
        stderr=subprocess.PIPE,
        text=True,
    )
    while process.poll() is None and not has_worker(process.pid):
        time.sleep(0.01)  # until it asks a worker about the machine
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert said.strip() == "gate_power: interrupted"
    assert process.returncode == Exit.WRONG_REQUEST
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("option", ["--sets", "--gates"])
@pytest.mark.parametrize("value", ["-3", "many"])
def test_a_number_below_nothing_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], option: str, value: str
) -> None:
    with pytest.raises(SystemExit) as caught:
        power.main([f"{option}={value}", "--report-dir", str(tmp_path)])
    assert caught.value.code == Exit.WRONG_REQUEST
    assert f"argument {option}: a number of 0 or more is expected, not" in capsys.readouterr().err


def test_macos_is_not_made_to_fork(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.system", lambda: "Darwin")
    with power._launcher() as workers:
        assert isinstance(workers, Spawner)


def test_a_plan_nobody_knows_is_refused_in_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert power.main(["--plan", "nonsense", "--report-dir", str(tmp_path)]) == Exit.WRONG_REQUEST
    assert "nonsense" in capsys.readouterr().err
