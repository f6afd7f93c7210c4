"""Tests on this machine, and on systems simulated by folders."""

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from bench.doctor import examine
from bench.doctor.finding import Finding, Severity
from bench.machine.load import CpuTimes


@pytest.mark.workers
def test_worker_runs_a_network_and_reports_its_versions() -> None:
    (finding,) = examine.workers(("cpu",))
    assert finding.state is Severity.FINE
    assert f"PyTorch {torch.__version__}" in finding.found
    assert "Python {}.{}.{}".format(*sys.version_info[:3]) in finding.found


@pytest.mark.workers
@pytest.mark.parametrize("library", ["torch", "torchvision"])
def test_library_that_cannot_be_imported_is_reported_with_the_reason(
    library: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / f"{library}.py").write_text("raise ImportError('built for another torch')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (finding,) = examine.workers(("cpu",))
    assert finding.state is Severity.PREVENTS
    assert "built for another torch" in finding.found
    assert "googlenet-bench[measure]" in finding.advice


@pytest.mark.workers
def test_missing_device_is_reported_without_advice_to_install() -> None:
    (finding,) = examine.workers(("cuda",))
    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device")
    assert finding.state is Severity.PREVENTS
    assert "use --device cpu" in finding.found
    assert "install" not in finding.advice


def test_compiler_is_the_one_that_inductor_uses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from torch._inductor import config

    monkeypatch.delenv("CXX", raising=False)
    _, default = config.cpp.cxx
    finding, headers = examine.compilers(on_gpu=False)
    assert Path(finding.found).name == default
    assert Path(headers.found).is_file()
    monkeypatch.setenv("CXX", "no-such-compiler -O3")
    assert next(examine.compilers(on_gpu=False)).found == "no no-such-compiler"
    mine = tmp_path / "mine"
    mine.write_text("#!/bin/sh")
    mine.chmod(0o755)
    monkeypatch.setenv("CXX", str(mine))
    assert next(examine.compilers(on_gpu=False)).found == str(mine)


def test_triton_needs_a_separate_compiler_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", "no-such-compiler")
    findings = {finding.what: finding for finding in examine.compilers(on_gpu=True)}
    assert findings["compiler (CC)"].state is Severity.LIMITS
    assert findings["compiler (CXX)"].state is Severity.FINE


def test_cache_that_cannot_be_created_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "kept"))
    assert examine.cache() == Finding(what="cache", found=str(tmp_path / "kept"))
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "file" / "below"))
    assert examine.cache().state is Severity.LIMITS


def test_cache_outside_the_home_folder_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    finding = examine.cache()
    assert finding.state is Severity.FINE
    assert finding.found.startswith(str(tmp_path))
    assert "no home folder is writable" in finding.found
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert examine.cache().found == str(tmp_path / "googlenet-bench" / "inductor")


def test_stolen_share_is_relative_to_the_busy_time() -> None:
    times = dict.fromkeys(("user", "nice", "system", "irq", "softirq"), 1.0)
    before = SimpleNamespace(**times, steal=2.0, idle=0.0)
    after = SimpleNamespace(**{**times, "user": 4.0}, steal=3.0, idle=100.0)
    assert examine.stolen_share(before, after) == pytest.approx(1 / (3 + 1))
    assert examine.stolen_share(SimpleNamespace(**times), after) is None


def test_load_is_the_highest_cpu_use_of_other_processes_in_several_seconds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    busy_s = (0.0, 0.0, 1.55, 1.55)
    readings = [CpuTimes(at_s=at_s, busy_s=busy, own_s={}) for at_s, busy in enumerate(busy_s)]
    meter = SimpleNamespace(read=lambda _: readings.pop(0))
    monkeypatch.setattr(examine, "SystemMeter", lambda: meter)
    monkeypatch.setattr("bench.machine.cgroup.quota_cpus", lambda: None)
    slept: list[float] = []
    finding = examine.load("cpu", slept.append)
    assert slept == [1.0] * 3
    assert finding.found.startswith("other processes use 1.50 CPUs (above 0.15 in 1 of 3 seconds)")
    assert finding.state is Severity.SPOILS


def test_load_may_use_the_cpus_that_a_quota_leaves_to_other_processes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    readings = [CpuTimes(at_s=at_s, busy_s=6.55 * at_s, own_s={}) for at_s in range(4)]
    monkeypatch.setattr(
        examine, "SystemMeter", lambda: SimpleNamespace(read=lambda _: readings.pop(0))
    )
    monkeypatch.setattr("bench.machine.cores.allowed_cores", lambda: 16)
    monkeypatch.setattr("bench.machine.cgroup.quota_cpus", lambda: 2.0)
    finding = examine.load("cpu", lambda _: None)
    assert (finding.found, finding.state) == ("other processes use 6.50 CPUs", Severity.FINE)


def states(root: Path, *, on_gpu: bool = False) -> dict[str, Severity]:
    findings = examine.host_findings(on_gpu=on_gpu, root=root)
    return {finding.what: finding.state for finding in findings if finding is not None}


def test_system_with_all_files_has_a_finding_for_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    for name, content in {
        "proc/self/cgroup": "0::/",
        "proc/self/schedstat": "123 4 5",
        "sys/fs/cgroup/cpu.max": "200000 100000",
        "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "powersave",
        "sys/kernel/mm/transparent_hugepage/enabled": "always madvise [never]",
        "dev/nvidiactl": "",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    monkeypatch.setattr("bench.machine.driver.devices", lambda: 0)
    severities = states(tmp_path)
    spoils = ("CPU quota", "frequency governor", "huge pages")
    assert {severities.pop(name) for name in spoils} == {Severity.SPOILS}
    assert severities.pop("CUDA") is Severity.LIMITS
    assert severities.pop("scheduler's accounts") is Severity.FINE
    assert set(severities) == {"memory"}
    assert "huge pages" not in states(tmp_path, on_gpu=True)


def test_system_without_files_has_no_accounts_and_no_quota(tmp_path: Path) -> None:
    severities = states(tmp_path)
    assert severities.pop("scheduler's accounts") is Severity.SPOILS
    assert set(severities) == {"CPU quota", "memory"}


def test_refused_and_unknown_cards_are_reported_with_the_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from bench.errors import RequestError
    from bench.machine import run_cards

    def refuse(*_: object, **__: object) -> run_cards.Cards:
        raise RequestError("cuda is in compute mode prohibited")

    monkeypatch.setattr(run_cards, "find", refuse)
    (finding,) = examine.card_findings("cuda")
    assert finding.state is Severity.PREVENTS
    monkeypatch.setattr(
        run_cards, "find", lambda *_, **__: run_cards.Cards(unknown={"cuda": "no NVML"})
    )
    (finding,) = examine.card_findings("cuda")
    assert finding.state is Severity.SPOILS
    assert "no NVML" in finding.found


@pytest.mark.workers
def test_every_finding_that_is_not_fine_has_advice() -> None:
    findings = examine.examine("cpu", sleep=lambda _: None)
    whats = [finding.what for finding in findings]
    assert len(set(whats)) == len(whats)
    assert {"worker on cpu", "compiler (CXX)", "cache", "load", "memory"} <= set(whats)
    assert all(finding.advice for finding in findings if finding.state is not Severity.FINE)
