"""Tests with generated CPU times and with those of this machine."""

import os
import sys
from pathlib import Path

import psutil
import pytest

from bench.machine.load import TICKS_S, CpuTimes, SystemMeter, foreign_cpus

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
BUSY_S = {0: 1.0, 1: 10.0, 2: 100.0, 3: 1000.0}
"""Busy seconds of each CPU; every sum has only one solution."""

linux = pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")


def write_stat(folder: Path, *cpus: int) -> Path:
    """Write Linux's CPU times for ``cpus``, with equal times in the five busy columns."""
    busy = {cpu: round(BUSY_S[cpu] * TICKS_PER_S / 5) for cpu in cpus}
    fields = "{0} {0} {0} 7777 8888 0 {0} {0} 999 999"
    lines = ["cpu  1 2 3 4 5 6 7 8 9 10"]
    lines += [f"cpu{cpu} {fields.format(ticks)}" for cpu, ticks in busy.items()]
    file = folder / "stat"
    file.write_text("\n".join([*lines, "intr 123 4", "ctxt 5", "btime 1700000000", ""]))
    return file


@linux
@pytest.mark.parametrize(
    ("listed", "allowed", "counted"),
    [
        ((0, 1, 2, 3), {1, 2}, (1, 2)),
        ((0, 1, 3), {1, 3}, (1, 3)),  # CPU 2 is offline
        ((0, 1), {2, 3}, (0, 1)),  # a container that numbers the machine's CPUs 2 and 3 from 0
        ((0, 1), {1, 2}, (0, 1)),
    ],
)
def test_allowed_cpus_are_counted_by_number(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    listed: tuple[int, ...],
    allowed: set[int],
    counted: tuple[int, ...],
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: allowed)
    times = SystemMeter(stat=write_stat(tmp_path, *listed)).read([])
    assert times.busy_s == pytest.approx(sum(BUSY_S[cpu] for cpu in counted))


def test_busy_time_of_all_cpus_agrees_with_the_system(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def busy_s() -> float:
        times = psutil.cpu_times()._asdict()
        return float(sum(times[name] for name in times if name not in idle))

    idle = {"idle", "iowait", "guest", "guest_nice"}
    monkeypatch.delattr("os.sched_getaffinity", raising=False)
    before, read_s, after = busy_s(), SystemMeter().read([]).busy_s, busy_s()
    rounded_s = 10 * (os.cpu_count() or 1) / TICKS_PER_S  # a tick in each field of each CPU
    assert before - rounded_s <= read_s <= after + rounded_s


def test_own_processes_are_measured() -> None:
    meter = SystemMeter()
    before = meter.read([os.getpid(), 2**22 + 1])  # no process has the second number
    after = meter.read([os.getpid()])
    assert before.own_s.keys() == after.own_s.keys() == {os.getpid()}
    assert after.own_s[os.getpid()] >= before.own_s[os.getpid()] > 0.0


@pytest.mark.parametrize(("busy_s", "cpus"), [(4.0 + TICKS_S, 1.5), (1.0, 0.0), (0.5, 0.0)])
def test_foreign_load_is_busy_time_without_our_own(busy_s: float, cpus: float) -> None:
    before = CpuTimes(at_s=10.0, busy_s=100.0, own_s={1: 5.0})
    after = CpuTimes(at_s=12.0, busy_s=100.0 + busy_s, own_s={1: 5.5, 2: 0.5})
    assert foreign_cpus(before, after) == pytest.approx(cpus)
