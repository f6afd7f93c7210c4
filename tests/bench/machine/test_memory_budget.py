"""Tests with made-up readings of a device: free memory, and the share of the allocator."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bench.cells.cell import Cell
from bench.launch.launchers import Launcher
from bench.machine.memory_budget import MemoryBudget, free_host_bytes
from bench.units import GIB, MIB
from bench.worker.memory import Footprint
from bench.worker.protocol import Prepare

GROUP = "fp32/b8/infer/cuda"


def footprint(free_mib: int, *, reserved_mib: int = 100, peak_mib: int = 200) -> Footprint:
    return Footprint(
        host_bytes=GIB,
        device_bytes=peak_mib * MIB,
        device_reserved_bytes=reserved_mib * MIB,
        device_free_bytes=free_mib * MIB,
    )


def make_budget(**options: Any) -> MemoryBudget:
    return MemoryBudget(free_bytes=lambda: 1000 * GIB, cores=4, **options)


def test_gpu_workers_start_one_by_one_until_the_context_size_is_known() -> None:
    budget = make_budget(on_gpu=True)
    assert budget.wants_one_at_a_time
    budget.learn(GROUP, footprint(9000))
    assert budget.wants_one_at_a_time
    budget.learn(GROUP, footprint(8500), alone=True)
    assert not budget.wants_one_at_a_time


def test_cpu_workers_need_not_start_one_by_one() -> None:
    assert not make_budget().wants_one_at_a_time


def test_context_is_the_memory_outside_the_allocator() -> None:
    budget = make_budget(on_gpu=True)
    budget.learn(GROUP, footprint(2000))
    budget.learn(GROUP, footprint(1500), alone=True)
    # 400 MiB in addition to the allocator's 100; with its peak of 200, a worker needs 600 MiB.
    assert budget.largest_use(GROUP).endswith(
        "600 MiB of the device, 400 MiB of it for its context"
    )
    assert budget.holds_another(GROUP, live=2, starting=1)  # 1200 MiB of 0.9 × 1500
    assert not budget.holds_another(GROUP, live=2, starting=2)


def test_context_counts_towards_a_workers_memory() -> None:
    budget = make_budget(on_gpu=True)
    budget.learn(GROUP, footprint(1000))
    budget.learn(GROUP, footprint(500), alone=True)
    assert not budget.holds_another(GROUP, live=2, starting=0)  # 200 MiB would fit, 600 do not


@pytest.mark.parametrize("alone", [True, False])
def test_memory_changes_by_other_workers_are_not_context(alone: bool) -> None:
    budget = make_budget(on_gpu=True)
    budget.learn(GROUP, footprint(5000))
    budget.learn(GROUP, footprint(4500), alone=True)
    budget.learn(GROUP, footprint(4900 if alone else 100), alone=alone)  # one ended; two grew
    assert "400 MiB of it for its context" in budget.largest_use(GROUP)


def test_first_worker_of_a_group_is_measured_before_others_start() -> None:
    budget = make_budget()
    assert budget.holds_another(GROUP, live=1, starting=0)
    assert not budget.holds_another(GROUP, live=1, starting=1)


def test_limit_on_a_cpu_applies_to_all_workers_together() -> None:
    budget = make_budget(limit_bytes=3 * GIB)
    budget.learn(GROUP, Footprint(host_bytes=GIB))
    assert budget.holds_another(GROUP, live=2, starting=0)
    assert not budget.holds_another(GROUP, live=3, starting=0)
    assert budget.largest_use(GROUP) == "the largest used 1,024 MiB"


@pytest.mark.gpu
def test_real_context_takes_more_than_100_mib(fork_server: Launcher) -> None:
    budget = MemoryBudget(on_gpu=True)
    workers = [fork_server.launch() for _ in range(2)]
    try:
        for index, worker in enumerate(workers):
            cell = Cell(
                arch="tests.bench.broken:works",
                mode="eager",
                dtype="fp32",
                batch_size=2,
                task="infer",
                device="cuda",
            )
            request = Prepare(cell=cell, image_size=32, seed=0)
            prepared = worker.request(request, limit_s=120.0)
            budget.learn(GROUP, prepared, alone=index > 0)
    finally:
        for worker in workers:
            worker.kill()
    assert not budget.wants_one_at_a_time
    assert 100 * MIB < (budget._context_bytes or 0) < 4 * GIB


@pytest.mark.parametrize(("left", "free"), [(None, 1000), (400, 400), (4000, 1000)])
def test_free_memory_is_limited_by_the_control_group(
    monkeypatch: pytest.MonkeyPatch, left: int | None, free: int
) -> None:
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(available=1000))
    monkeypatch.setattr("bench.machine.cgroup.left_bytes", lambda: left)
    assert free_host_bytes() == free


def test_each_out_of_memory_kill_is_claimed_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vmstat = tmp_path / "vmstat"
    monkeypatch.setattr("bench.machine.memory_budget._VMSTAT", vmstat)
    vmstat.write_text("pgfault 1\noom_kill 40\n")
    budget = make_budget()
    assert not budget.claims_kill()  # those were before the budget
    vmstat.write_text("pgfault 1\noom_kill 42\n")
    assert [budget.claims_kill() for _ in range(3)] == [True, True, False]


def test_without_a_kill_counter_no_kill_is_claimed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.machine.memory_budget._VMSTAT", tmp_path / "vmstat")
    assert not make_budget().claims_kill()
