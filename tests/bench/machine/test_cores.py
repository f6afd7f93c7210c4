import os
import subprocess
import sys

import pytest

from bench.machine import cores, pinned


def test_workers_have_one_cpu_of_each_core(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.machine.cgroup.quota_cpus", lambda: None)
    cpus = cores.cpus_for_workers()
    assert cpus is not None
    assert cpus <= os.sched_getaffinity(0)
    assert len(cpus) == cores.physical_cores()


def allow(monkeypatch: pytest.MonkeyPatch, *cpus: int, of_cores: int) -> None:
    """Simulate two hyper-threads per core, of which this process may use ``cpus``."""
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(cpus), raising=False)
    monkeypatch.setattr(
        cores, "_siblings", lambda cpu: f"{cpu % of_cores},{cpu % of_cores + of_cores}"
    )
    monkeypatch.setattr("bench.machine.cgroup.quota_cpus", lambda: None)


@pytest.mark.parametrize(
    ("allowed", "chosen"),
    [
        (
            (0, 1, 64, 65),
            frozenset({0, 1}),
        ),  # two full cores: one thread and one CPU for each
        ((1, 2, 3), frozenset({1, 2, 3})),
        ((70, 71), frozenset({70, 71})),
        ((5, 69), frozenset({5})),
        (tuple(range(128)), frozenset(range(64))),
    ],
)
def test_hyper_threads_of_a_core_count_as_one_cpu_and_one_thread(
    monkeypatch: pytest.MonkeyPatch, allowed: tuple[int, ...], chosen: frozenset[int]
) -> None:
    allow(monkeypatch, *allowed, of_cores=64)
    assert cores.cpus_for_workers() == chosen
    assert cores.physical_cores() == cores.allowed_cores() == len(chosen)


def test_process_with_one_allowed_cpu_has_one_core() -> None:
    cpu = min(os.sched_getaffinity(0))
    code = (
        f"import os; os.sched_setaffinity(0, [{cpu}])\n"
        "from bench.machine import cores\n"
        "print(cores.physical_cores(), *cores.cpus_for_workers())"
    )
    output = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, check=True).stdout
    assert output.split() == [b"1", str(cpu).encode()]


def test_there_is_at_least_one_core() -> None:
    assert cores.physical_cores() >= 1


@pytest.mark.parametrize(("physical", "count"), [(8, 8), (None, os.cpu_count() or 1)])
def test_without_affinity_all_cores_are_counted(
    monkeypatch: pytest.MonkeyPatch, physical: int | None, count: int
) -> None:
    def cpu_count(*, logical: bool) -> int | None:
        assert not logical
        return physical

    monkeypatch.setattr("psutil.cpu_count", cpu_count)
    monkeypatch.delattr("os.sched_getaffinity", raising=False)
    monkeypatch.setattr("bench.machine.cgroup.quota_cpus", lambda: None)
    assert cores.physical_cores() == count


@pytest.mark.parametrize(("quota", "count"), [(2.5, 2), (0.5, 1), (16.0, 8)])
def test_quota_limits_cores_and_threads_but_not_cpus(
    monkeypatch: pytest.MonkeyPatch, quota: float, count: int
) -> None:
    allow(monkeypatch, *range(16), of_cores=8)
    monkeypatch.setattr("bench.machine.cgroup.quota_cpus", lambda: quota)
    assert cores.physical_cores() == count
    assert pinned.for_workers({})["OMP_NUM_THREADS"] == str(count)
    assert cores.allowed_cores() == 8
    assert cores.cpus_for_workers() == frozenset(range(8))
