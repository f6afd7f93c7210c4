from pathlib import Path

import pytest

from bench.errors import RequestError
from bench.machine import cores, pinned


def test_pinned_settings_override_the_users_variables() -> None:
    expected = {
        setting.name: setting.value for setting in pinned.settings("pinned") if setting.value
    }
    assert "MALLOC_TRIM_THRESHOLD_" in expected
    variables = pinned.for_workers(dict.fromkeys(expected, "mine"))
    assert {name: variables[name] for name in expected} == expected


def test_every_setting_has_a_reason() -> None:
    assert all(len(setting.reason) > 20 for setting in pinned.settings("pinned"))


def test_default_environment_pins_nothing() -> None:
    assert pinned.settings("default") == ()
    variables = pinned.for_workers({}, "default")
    assert "OMP_NUM_THREADS" not in variables
    assert "GLIBC_TUNABLES" not in variables
    assert cores.cpus_for_workers("default") is None


def test_unknown_environment_is_refused() -> None:
    with pytest.raises(RequestError, match="no environment is called 'quiet'"):
        pinned.settings("quiet")


def test_other_variables_are_passed_on() -> None:
    base = {"PATH": "/bin", "HOME": "/home/me", "LD_PRELOAD": "libtcmalloc.so"}
    variables = pinned.for_workers(base)
    assert {name: variables[name] for name in base} == base
    assert base.keys() == {"PATH", "HOME", "LD_PRELOAD"}


@pytest.mark.parametrize("name", ["OMP_NUM_THREADS", "TORCHINDUCTOR_CACHE_DIR"])
def test_users_values_are_kept(name: str) -> None:
    assert pinned.for_workers({name: "mine"})[name] == "mine"
    assert pinned.for_workers({})[name] != "mine"


def test_default_threads_are_the_physical_cores() -> None:
    assert pinned.for_workers({})["OMP_NUM_THREADS"] == str(cores.physical_cores())


def test_inductors_cache_is_in_the_users_cache_folder(tmp_path: Path) -> None:
    variables = pinned.for_workers({"XDG_CACHE_HOME": str(tmp_path)})
    assert variables["TORCHINDUCTOR_CACHE_DIR"] == str(tmp_path / "googlenet-bench" / "inductor")
    default = pinned.for_workers({})["TORCHINDUCTOR_CACHE_DIR"]
    assert default == str(Path.home() / ".cache" / "googlenet-bench" / "inductor")


def test_given_cache_folder_is_used_and_no_other_created(tmp_path: Path) -> None:
    base = {"TORCHINDUCTOR_CACHE_DIR": "/mine", "XDG_CACHE_HOME": str(tmp_path)}
    assert pinned.for_workers(base)["TORCHINDUCTOR_CACHE_DIR"] == "/mine"
    assert list(tmp_path.iterdir()) == []
