"""This machine, looked at for real; and systems that are folders."""

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from bench.doctor import examine
from bench.doctor.finding import Finding, Severity
from bench.machine import environment
from bench.machine.load import CpuTimes


def test_a_worker_runs_a_network_and_says_what_it_runs_in() -> None:
    (found,) = examine.workers(("cpu",))
    assert found.state is Severity.FINE
    assert f"PyTorch {torch.__version__}" in found.found
    assert "Python {}.{}.{}".format(*sys.version_info[:3]) in found.found


@pytest.mark.parametrize("library", ["torch", "torchvision"])
def test_where_a_library_cannot_be_imported_it_says_why(
    library: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / f"{library}.py").write_text("raise ImportError('built for another torch')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (found,) = examine.workers(("cpu",))
    assert found.state is Severity.PREVENTS
    assert "built for another torch" in found.found
    assert "googlenet-bench[measure]" in found.advice


def test_a_worker_that_has_no_such_device_says_so_and_is_not_installed_anew() -> None:
    (found,) = examine.workers(("cuda",))
    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device")
    assert found.state is Severity.PREVENTS
    assert "use --device cpu" in found.found
    assert "install" not in found.advice


def test_the_compiler_is_the_one_that_inductor_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from torch._inductor import config

    monkeypatch.delenv("CXX", raising=False)
    _, by_itself = config.cpp.cxx
    found, headers = examine.compilers(on_gpu=False)
    assert Path(found.found).name == by_itself
    assert Path(headers.found).is_file()
    monkeypatch.setenv("CXX", "no-such-compiler -O3")
    assert next(examine.compilers(on_gpu=False)).found == "no no-such-compiler"
    mine = tmp_path / "mine"
    mine.write_text("#!/bin/sh")
    mine.chmod(0o755)
    monkeypatch.setenv("CXX", str(mine))
    assert next(examine.compilers(on_gpu=False)).found == str(mine)


def test_on_a_gpu_triton_wants_a_compiler_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", "no-such-compiler")
    found = {one.what: one for one in examine.compilers(on_gpu=True)}
    assert found["compiler (CC)"].state is Severity.LIMITS
    assert found["compiler (CXX)"].state is Severity.FINE


def test_a_cache_that_cannot_be_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "kept"))
    assert examine.cache() == Finding(what="cache", found=str(tmp_path / "kept"))
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "file" / "below"))
    assert examine.cache().state is Severity.LIMITS


def test_a_cache_that_is_at_no_home_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    found = examine.cache()
    assert found.state is Severity.FINE
    assert found.found.startswith(str(tmp_path))
    assert "no home can be written" in found.found
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert examine.cache().found == str(tmp_path / "googlenet-bench" / "inductor")


def test_what_is_stolen_is_a_share_of_the_time_in_which_there_was_work() -> None:
    times = dict.fromkeys(("user", "nice", "system", "irq", "softirq"), 1.0)
    before = SimpleNamespace(**times, steal=2.0, idle=0.0)
    after = SimpleNamespace(**{**times, "user": 4.0}, steal=3.0, idle=100.0)
    assert examine.stolen_share(before, after) == pytest.approx(1 / (3 + 1))
    assert examine.stolen_share(SimpleNamespace(**times), after) is None


def test_load_is_what_others_do_in_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    readings = [
        CpuTimes(at_s=at_s, busy_s=busy_s, own_s={}) for at_s, busy_s in ((0, 0), (1, 1.55))
    ]
    meter = SimpleNamespace(read=lambda _: readings.pop(0))
    monkeypatch.setattr(examine, "SystemMeter", lambda: meter)
    monkeypatch.setattr("bench.machine.cgroup.quota_cpus", lambda: None)
    slept: list[float] = []
    found = examine.load("cpu", slept.append)
    assert slept == [examine.WATCHED_S]
    assert found.found == "others keep 1.50 CPUs busy"
    assert found.state is Severity.SPOILS


def test_load_may_be_what_a_quota_leaves_to_others(monkeypatch: pytest.MonkeyPatch) -> None:
    readings = [
        CpuTimes(at_s=at_s, busy_s=busy_s, own_s={}) for at_s, busy_s in ((0, 0), (1, 6.55))
    ]
    monkeypatch.setattr(
        examine, "SystemMeter", lambda: SimpleNamespace(read=lambda _: readings.pop(0))
    )
    monkeypatch.setattr(environment, "allowed_cores", lambda: 16)
    monkeypatch.setattr("bench.machine.cgroup.quota_cpus", lambda: 2.0)
    found = examine.load("cpu", lambda _: None)
    assert (found.found, found.state) == ("others keep 6.50 CPUs busy", Severity.FINE)


def states(root: Path, *, on_gpu: bool = False) -> dict[str, Severity]:
    found = examine.of_host(on_gpu=on_gpu, root=root)
    return {one.what: one.state for one in found if one is not None}


def test_a_system_that_tells_all_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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
    found = states(tmp_path)
    spoils = ("CPU quota", "frequency governor", "huge pages")
    assert {found.pop(name) for name in spoils} == {Severity.SPOILS}
    assert found.pop("CUDA") is Severity.LIMITS
    assert found.pop("scheduler's accounts") is Severity.FINE
    assert set(found) == {"memory"}
    assert "huge pages" not in states(tmp_path, on_gpu=True)


def test_a_system_that_tells_nothing_has_no_accounts_and_no_quota(tmp_path: Path) -> None:
    found = states(tmp_path)
    assert found.pop("scheduler's accounts") is Severity.SPOILS
    assert set(found) == {"CPU quota", "memory"}


def test_a_card_is_found_or_says_why_not(monkeypatch: pytest.MonkeyPatch) -> None:
    from bench.machine import cards
    from bench.names import RequestError

    def refuse(*_: object, **__: object) -> cards.Cards:
        raise RequestError("cuda is in compute mode prohibited")

    monkeypatch.setattr(cards, "find", refuse)
    (found,) = examine.on_card("cuda")
    assert found.state is Severity.PREVENTS
    monkeypatch.setattr(cards, "find", lambda *_, **__: cards.Cards(unknown={"cuda": "no NVML"}))
    (found,) = examine.on_card("cuda")
    assert found.state is Severity.SPOILS
    assert "no NVML" in found.found


def test_every_finding_says_what_to_do_where_it_is_not_fine() -> None:
    found = examine.examine("cpu", sleep=lambda _: None)
    whats = [one.what for one in found]
    assert len(set(whats)) == len(whats)
    assert {"worker on cpu", "compiler (CXX)", "cache", "load", "memory"} <= set(whats)
    assert all(one.advice for one in found if one.state is not Severity.FINE)
