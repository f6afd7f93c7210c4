import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from bench.errors import RequestError
from bench.machine import cpu, environment
from bench.machine.facts import Environment


def test_pinned_settings_override_the_users_variables() -> None:
    pinned = {
        setting.name: setting.value for setting in environment.settings("pinned") if setting.value
    }
    assert "MALLOC_TRIM_THRESHOLD_" in pinned
    variables = environment.for_workers(dict.fromkeys(pinned, "mine"))
    assert {name: variables[name] for name in pinned} == pinned


def test_every_setting_has_a_reason() -> None:
    assert all(len(setting.reason) > 20 for setting in environment.settings("pinned"))


def test_default_environment_pins_nothing() -> None:
    assert environment.settings("default") == ()
    variables = environment.for_workers({}, "default")
    assert "OMP_NUM_THREADS" not in variables
    assert "GLIBC_TUNABLES" not in variables
    assert environment.cpus_for_workers("default") is None


def test_unknown_environment_is_refused() -> None:
    with pytest.raises(RequestError, match="no environment is called 'quiet'"):
        environment.settings("quiet")


def test_workers_have_one_cpu_of_each_core(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.machine.cgroup.quota_cpus", lambda: None)
    cpus = environment.cpus_for_workers()
    assert cpus is not None
    assert cpus <= os.sched_getaffinity(0)
    assert len(cpus) == environment.physical_cores()


def allow(monkeypatch: pytest.MonkeyPatch, *cpus: int, of_cores: int) -> None:
    """Simulate two hyper-threads per core, of which this process may use ``cpus``."""
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(cpus), raising=False)
    monkeypatch.setattr(
        environment, "_siblings", lambda cpu: f"{cpu % of_cores},{cpu % of_cores + of_cores}"
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
    assert environment.cpus_for_workers() == chosen
    assert environment.physical_cores() == environment.allowed_cores() == len(chosen)


def test_process_with_one_allowed_cpu_has_one_core() -> None:
    cpu = min(os.sched_getaffinity(0))
    code = (
        f"import os; os.sched_setaffinity(0, [{cpu}])\n"
        "from bench.machine import environment\n"
        "print(environment.physical_cores(), *environment.cpus_for_workers())"
    )
    output = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, check=True).stdout
    assert output.split() == [b"1", str(cpu).encode()]


def test_other_variables_are_passed_on() -> None:
    base = {"PATH": "/bin", "HOME": "/home/me", "LD_PRELOAD": "libtcmalloc.so"}
    variables = environment.for_workers(base)
    assert {name: variables[name] for name in base} == base
    assert base.keys() == {"PATH", "HOME", "LD_PRELOAD"}


@pytest.mark.parametrize("name", ["OMP_NUM_THREADS", "TORCHINDUCTOR_CACHE_DIR"])
def test_users_values_are_kept(name: str) -> None:
    assert environment.for_workers({name: "mine"})[name] == "mine"
    assert environment.for_workers({})[name] != "mine"


def test_default_threads_are_the_physical_cores() -> None:
    assert environment.for_workers({})["OMP_NUM_THREADS"] == str(environment.physical_cores())


def test_inductors_cache_is_in_the_users_cache_folder(tmp_path: Path) -> None:
    variables = environment.for_workers({"XDG_CACHE_HOME": str(tmp_path)})
    assert variables["TORCHINDUCTOR_CACHE_DIR"] == str(tmp_path / "googlenet-bench" / "inductor")
    default = environment.for_workers({})["TORCHINDUCTOR_CACHE_DIR"]
    assert default == str(Path.home() / ".cache" / "googlenet-bench" / "inductor")


def test_given_cache_folder_is_used_and_no_other_created(tmp_path: Path) -> None:
    base = {"TORCHINDUCTOR_CACHE_DIR": "/mine", "XDG_CACHE_HOME": str(tmp_path)}
    assert environment.for_workers(base)["TORCHINDUCTOR_CACHE_DIR"] == "/mine"
    assert list(tmp_path.iterdir()) == []


def without_home(_: type[Path]) -> Path:
    raise RuntimeError("Could not determine home directory.")


@pytest.mark.parametrize("home", ["none", "file"])
def test_cache_without_a_home_is_in_the_temporary_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: str
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(Path, "home", classmethod(without_home))
    base = {} if home == "none" else {"XDG_CACHE_HOME": str(tmp_path / home)}
    folder = environment.cache_folder(base)
    assert folder == tmp_path / f"googlenet-bench-{os.getuid()}"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert environment.cache_folder(base) == folder  # the next run finds it again
    variables = environment.for_workers(base)
    assert variables["TORCHINDUCTOR_CACHE_DIR"] == str(folder / "inductor")


def test_cache_folder_of_another_user_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(Path, "home", classmethod(without_home))
    other_folder = environment.cache_folder({})
    uid = os.getuid()
    other_folder.rename(tmp_path / f"googlenet-bench-{uid + 1}")
    monkeypatch.setattr("os.getuid", lambda: uid + 1)
    folder = environment.cache_folder({})
    assert folder.parent == tmp_path
    assert environment.cache_folder({}) == folder  # until this process ends
    assert folder.name != f"googlenet-bench-{uid + 1}"


def test_there_is_at_least_one_core() -> None:
    assert environment.physical_cores() >= 1


@pytest.mark.parametrize(("physical", "cores"), [(8, 8), (None, os.cpu_count() or 1)])
def test_without_affinity_all_cores_are_counted(
    monkeypatch: pytest.MonkeyPatch, physical: int | None, cores: int
) -> None:
    def cpu_count(*, logical: bool) -> int | None:
        assert not logical
        return physical

    monkeypatch.setattr("psutil.cpu_count", cpu_count)
    monkeypatch.delattr("os.sched_getaffinity", raising=False)
    monkeypatch.setattr("bench.machine.cgroup.quota_cpus", lambda: None)
    assert environment.physical_cores() == cores


@pytest.mark.parametrize(("quota", "cores"), [(2.5, 2), (0.5, 1), (16.0, 8)])
def test_quota_limits_cores_and_threads_but_not_cpus(
    monkeypatch: pytest.MonkeyPatch, quota: float, cores: int
) -> None:
    allow(monkeypatch, *range(16), of_cores=8)
    monkeypatch.setattr("bench.machine.cgroup.quota_cpus", lambda: quota)
    assert environment.physical_cores() == cores
    assert environment.for_workers({})["OMP_NUM_THREADS"] == str(cores)
    assert environment.allowed_cores() == 8
    assert environment.cpus_for_workers() == frozenset(range(8))


@pytest.mark.parametrize(
    ("about", "slug"),
    [
        ({"device": "cuda", "device_name": "NVIDIA H200", "physical_cores": 16}, "nvidia-h200"),
        (
            {"device": "cuda:1", "device_name": "NVIDIA H100 80GB HBM3", "physical_cores": 16},
            "nvidia-h100-80gb-hbm3",
        ),
        (
            {"device": "cpu", "device_name": "AMD EPYC", "physical_cores": 2},
            "cpu-amd-epyc-2-cores",
        ),
        (
            {
                "device": "cpu",
                "device_name": "Intel(R) Core(TM) i7-8550U CPU @ 1.80GHz",
                "physical_cores": 4,
            },
            "cpu-intel-core-i7-8550u-cpu-1-80ghz-4-cores",
        ),
        ({"device": "cpu", "device_name": "../../x", "physical_cores": 1}, "cpu-x-1-cores"),
    ],
)
def test_machine_slug(about: dict[str, Any], slug: str) -> None:
    assert environment.machine_slug(Environment(**about)) == slug


def test_description_has_versions_and_recorded_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr("cpuinfo.get_cpu_info", lambda: {"brand_raw": "AMD EPYC"})
    monkeypatch.setenv("OMP_TEST", "recorded")
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", "/home/me")
    monkeypatch.setenv("SECRET_TOKEN", "not ours")
    about = environment.describe("cpu")
    assert about.torch == torch.__version__
    assert about.device == "cpu"
    assert about.device_name == about.cpu == "AMD EPYC"
    assert about.cpu_cores == cpu.describe().cpu_cores
    assert about.threads == torch.get_num_threads()
    assert about.variables["OMP_TEST"] == "recorded"
    assert "TORCHINDUCTOR_CACHE_DIR" not in about.variables
    assert "SECRET_TOKEN" not in about.variables
    assert about.device_memory_bytes is None


def test_description_has_the_versions_of_installed_libraries_only() -> None:
    about = environment.describe("cpu", ["no_such_library", "msgspec", "PIL"])
    assert about.libraries == {"PIL": version("pillow"), "msgspec": version("msgspec")}
