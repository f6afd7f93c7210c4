"""Readings made up as a device gives them: what is free, and what an allocator has of the rest."""

from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bench.cells.cell import Cell
from bench.engine.launch import Launcher
from bench.machine.memory_budget import MemoryBudget, free_host_bytes
from bench.units import GIB, MIB

GROUP = "fp32/b8/infer/cuda"


def facts(free_mib: int, *, reserved_mib: int = 100, peak_mib: int = 200) -> dict[str, Any]:
    return {
        "host_bytes": GIB,
        "device_bytes": peak_mib * MIB,
        "device_reserved_bytes": reserved_mib * MIB,
        "device_free_bytes": free_mib * MIB,
    }


def room(**given: Any) -> MemoryBudget:
    return MemoryBudget(free_bytes=lambda: 1000 * GIB, cores=4, **given)


def test_on_a_gpu_workers_start_one_by_one_until_a_context_s_share_is_known() -> None:
    found = room(on_gpu=True)
    assert found.wants_one_at_a_time
    found.learn(GROUP, facts(9000))
    assert found.wants_one_at_a_time
    found.learn(GROUP, facts(8500), alone=True)
    assert not found.wants_one_at_a_time


def test_on_a_cpu_they_need_not() -> None:
    assert not room().wants_one_at_a_time


def test_a_context_is_what_a_worker_took_beside_the_allocator() -> None:
    found = room(on_gpu=True)
    found.learn(GROUP, facts(2000))
    found.learn(GROUP, facts(1500), alone=True)
    # 400 MiB beside the 100 that the allocator has: with its peak of 200, 600 MiB a worker.
    assert found.held(GROUP).endswith("600 MiB of the device's the largest, 400 MiB of them its "
                                      "context")  # fmt: skip
    assert found.holds_another(GROUP, live=2, starting=1)  # 1200 MiB of nine tenths of 1500
    assert not found.holds_another(GROUP, live=2, starting=2)


def test_without_its_context_a_worker_would_seem_to_fit() -> None:
    found = room(on_gpu=True)
    found.learn(GROUP, facts(1000))
    found.learn(GROUP, facts(500), alone=True)
    assert not found.holds_another(GROUP, live=2, starting=0)  # 200 MiB would fit, 600 don't


@pytest.mark.parametrize("alone", [True, False])
def test_what_others_took_or_gave_meanwhile_is_no_context(alone: bool) -> None:
    found = room(on_gpu=True)
    found.learn(GROUP, facts(5000))
    found.learn(GROUP, facts(4500), alone=True)
    found.learn(GROUP, facts(4900 if alone else 100), alone=alone)  # one ended; two grew
    assert "400 MiB of them its context" in found.held(GROUP)


def test_the_first_of_a_kind_is_measured_before_others_start() -> None:
    found = room()
    assert found.holds_another(GROUP, live=1, starting=0)
    assert not found.holds_another(GROUP, live=1, starting=1)


def test_on_a_cpu_the_limit_is_what_all_hold_together() -> None:
    found = room(limit_bytes=3 * GIB)
    found.learn(GROUP, {"host_bytes": GIB})
    assert found.holds_another(GROUP, live=2, starting=0)
    assert not found.holds_another(GROUP, live=3, starting=0)
    assert found.held(GROUP) == "1,024 MiB the largest"


@pytest.mark.gpu
def test_a_real_context_takes_its_hundred_mebibytes_and_more(fork_server: Launcher) -> None:
    found = MemoryBudget(on_gpu=True)
    workers = [fork_server.launch() for _ in range(2)]
    try:
        for index, worker in enumerate(workers):
            asked = Cell(
                arch="tests.bench.broken:works",
                mode="eager",
                dtype="fp32",
                batch_size=2,
                task="infer",
                device="cuda",
            )
            facts = worker.request(
                "prepare", limit_s=120.0, cell=asdict(asked), image_size=32, seed=0
            )
            found.learn(GROUP, facts, alone=index > 0)
    finally:
        for worker in workers:
            worker.kill()
    assert not found.wants_one_at_a_time
    assert 100 * MIB < (found._context_bytes or 0) < 4 * GIB


@pytest.mark.parametrize(("left", "free"), [(None, 1000), (400, 400), (4000, 1000)])
def test_a_control_group_may_leave_less_than_the_machine(
    monkeypatch: pytest.MonkeyPatch, left: int | None, free: int
) -> None:
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(available=1000))
    monkeypatch.setattr("bench.machine.cgroup.left_bytes", lambda: left)
    assert free_host_bytes() == free


def test_each_kill_for_want_of_memory_is_claimed_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vmstat = tmp_path / "vmstat"
    monkeypatch.setattr("bench.machine.memory_budget._VMSTAT", vmstat)
    vmstat.write_text("pgfault 1\noom_kill 40\n")
    found = room()
    assert not found.claims_kill()  # those were before us
    vmstat.write_text("pgfault 1\noom_kill 42\n")
    assert [found.claims_kill() for _ in range(3)] == [True, True, False]


def test_a_system_that_counts_no_kills_has_none_to_claim(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.machine.memory_budget._VMSTAT", tmp_path / "vmstat")
    assert not room().claims_kill()
