from importlib.metadata import version

import pytest

from bench.machine import cpu
from bench.machine.description import describe


def test_description_has_versions_and_recorded_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr("cpuinfo.get_cpu_info", lambda: {"brand_raw": "AMD EPYC"})
    monkeypatch.setenv("OMP_TEST", "recorded")
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", "/home/me")
    monkeypatch.setenv("SECRET_TOKEN", "not ours")
    about = describe("cpu")
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
    about = describe("cpu", ["no_such_library", "msgspec", "PIL"])
    assert about.libraries == {"PIL": version("pillow"), "msgspec": version("msgspec")}
