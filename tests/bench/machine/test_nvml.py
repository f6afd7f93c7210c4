import os
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest
import torch

from bench.machine import driver, nvml
from bench.machine.card import CardProcess, CardReading
from bench.machine.driver import Identity
from bench.machine.environment import CardFacts
from bench.machine.nvml import CardUnknownError, NvmlMeter
from tests.bench.fake_nvml import IDENTITIES, NVML_DATA, UUIDS, FakeNvml

FIRST, SECOND = NVML_DATA["cards"]
READ_WITH = {
    "sm_hz": ("nvmlDeviceGetClockInfo",),
    "memory_hz": ("nvmlDeviceGetClockInfo",),
    "temperature_c": ("nvmlDeviceGetTemperature", "nvmlDeviceGetTemperatureV"),
    "power_w": ("nvmlDeviceGetPowerUsage",),
    "reasons": (
        "nvmlDeviceGetCurrentClocksEventReasons",
        "nvmlDeviceGetCurrentClocksThrottleReasons",
    ),
    "throttled_s": ("nvmlDeviceGetViolationStatus", "nvmlDeviceGetFieldValues"),
    "energy_j": ("nvmlDeviceGetTotalEnergyConsumption",),
    "used_bytes": ("nvmlDeviceGetMemoryInfo",),
    "others": ("nvmlDeviceGetComputeRunningProcesses",),
}
DESCRIBED_WITH = {
    "uuid": "nvmlDeviceGetUUID",
    "driver": "nvmlSystemGetDriverVersion",
    "mig": "nvmlDeviceGetMigMode",
    "persistence": "nvmlDeviceGetPersistenceMode",
    "compute_mode": "nvmlDeviceGetComputeMode",
    "power_limit_w": "nvmlDeviceGetEnforcedPowerLimit",
    "most_sm_hz": "nvmlDeviceGetMaxClockInfo",
    "most_memory_hz": "nvmlDeviceGetMaxClockInfo",
}


def meter(fake: FakeNvml, card: int = 0, own: frozenset[int] = frozenset()) -> NvmlMeter:
    return NvmlMeter(fake, IDENTITIES[card], is_own=own.__contains__, exists=lambda _: True)


@pytest.mark.parametrize("card", [0, 1])
def test_card_is_found_by_its_uuid_and_not_by_its_index(card: int) -> None:
    fake = FakeNvml()
    fake.cards.reverse()  # NVML's order differs from CUDA's
    assert meter(fake, card).describe().uuid == UUIDS[card]


def test_card_with_a_hidden_uuid_is_found_by_its_bus_id() -> None:
    fake = FakeNvml()
    identity = Identity(uuid="0" * 8, pci_bus_id=SECOND["bus_id"])
    assert NvmlMeter(fake, identity).describe().uuid == UUIDS[1]


def test_card_that_nvml_does_not_know_raises_card_unknown_error() -> None:
    with pytest.raises(CardUnknownError, match=r"no card GPU-0, and none at 00:00\.0"):
        NvmlMeter(FakeNvml(), Identity(uuid="0", pci_bus_id="00:00.0"))


def test_mig_instance_has_its_own_memory_and_processes() -> None:
    fake = FakeNvml()
    uuid = "33333333-3333-3333-3333-333333333333"
    fake.instances[f"MIG-{uuid}"] = 1
    fake.cards[1]["mig"] = [1, 1]
    fake.cards[1]["instance"] = {
        "memory": {"used": 4096},
        "processes": {"Compute": [[7, None]], "Graphics": [], "MPSCompute": []},
    }
    instance = NvmlMeter(fake, Identity(uuid=uuid, pci_bus_id=SECOND["bus_id"]))
    assert instance.describe().mig is True
    reading = instance.read()
    assert reading.sm_hz == SECOND["clocks_mhz"]["1"] * 10**6
    assert reading.used_bytes == 4096
    assert [process.pid for process in reading.others or ()] == [7]


def test_reading_is_in_si_units() -> None:
    assert meter(FakeNvml(), 1).read() == CardReading(
        sm_hz=1_200_000_000,
        memory_hz=2_000_000_000,
        temperature_c=55,
        power_w=250.0,
        reasons=("power_cap",),
        throttled_s={
            "power_cap": 3.0,
            "thermal": 0.0,
            "sw_thermal": 0.0,
            "hw_thermal": 0.0,
            "power_brake": 0.0,
        },
        energy_j=7e6,
        used_bytes=SECOND["memory"]["used"],
        own_processes=0,
        own_bytes=0,
        others=(CardProcess(pid=4242, name="python3", used_bytes=2_457_862_144),),
    )


@pytest.mark.parametrize("field", READ_WITH)
def test_unsupported_values_of_a_reading_are_none(field: str) -> None:
    full = meter(FakeNvml(), 1).read()
    without = meter(FakeNvml(unsupported=READ_WITH[field]), 1).read()
    missing = {name for name in READ_WITH if getattr(without, name) is None}
    assert missing == {name for name in READ_WITH if READ_WITH[name] == READ_WITH[field]}
    assert all(getattr(full, name) is not None for name in READ_WITH)
    same = {f.name for f in fields(CardReading)} - missing - {"own_processes", "own_bytes"}
    assert all(getattr(without, name) == getattr(full, name) for name in same)


@pytest.mark.parametrize("field", DESCRIBED_WITH)
def test_unsupported_facts_of_a_description_are_none(field: str) -> None:
    without = meter(FakeNvml(unsupported=(DESCRIBED_WITH[field],))).describe({})
    missing = {name for name in DESCRIBED_WITH if getattr(without, name) is None}
    assert missing == {
        name for name in DESCRIBED_WITH if DESCRIBED_WITH[name] == DESCRIBED_WITH[field]
    }


def test_description_has_only_constant_facts(tmp_path: Path) -> None:
    fake = FakeNvml()
    nowhere = {"CUDA_MPS_PIPE_DIRECTORY": str(tmp_path)}
    expected = CardFacts(
        uuid=UUIDS[0],
        driver=NVML_DATA["driver"],
        mig=False,
        mps_seen=False,
        persistence=True,
        compute_mode="default",
        power_limit_w=400.0,
        most_sm_hz=1_500_000_000,
        most_memory_hz=2_000_000_000,
    )
    assert meter(fake).describe(nowhere) == expected
    fake.cards[0] |= {"temperature_c": 80, "clocks_mhz": {"1": 1, "2": 1}, "energy_mj": 1}
    assert meter(fake).describe(nowhere) == expected


def test_mps_is_seen_by_its_pipe_or_its_clients(tmp_path: Path) -> None:
    fake, variables = FakeNvml(), {"CUDA_MPS_PIPE_DIRECTORY": str(tmp_path)}
    assert meter(fake).describe(variables).mps_seen is False
    fake.cards[0]["processes"]["MPSCompute"] = [[5, 1]]
    assert meter(fake).describe(variables).mps_seen is True
    fake.cards[0]["processes"]["MPSCompute"] = []
    (tmp_path / "control").touch()
    assert meter(fake).describe(variables).mps_seen is True


def test_own_and_other_processes_are_distinguished() -> None:
    fake, unnamed = FakeNvml(), 2**22 + 1  # larger than any process id on Linux
    fake.cards[0]["processes"] = {
        "Compute": [[10, 100], [11, 200], [4242, 300]],
        "Graphics": [[unnamed, None], [4242, 300]],
        "MPSCompute": [],
    }
    reading = meter(fake, own=frozenset({10, 11})).read()
    assert (reading.own_processes, reading.own_bytes) == (2, 300)
    assert reading.others == (
        CardProcess(pid=4242, name="python3", used_bytes=300),
        CardProcess(pid=unnamed, name=None, used_bytes=None),
    )
    fake.cards[0]["processes"]["Compute"][1][1] = None
    assert meter(fake, own=frozenset({10, 11})).read().own_bytes is None


def test_own_process_that_has_just_ended_is_ignored() -> None:
    fake = FakeNvml()
    fake.cards[0]["processes"]["Compute"] = [[10, 100], [11, 100]]

    def others(own: frozenset[int]) -> list[int]:
        nvml_meter = NvmlMeter(
            fake, IDENTITIES[0], is_own=own.__contains__, exists=lambda pid: pid != 11
        )
        return [process.pid for process in nvml_meter.read().others or ()]

    assert others(own=frozenset({10})) == []
    # None of ours is listed, so the ids may be of another namespace and nothing is ignored.
    assert others(own=frozenset()) == [10, 11]


def test_server_of_mps_is_ignored() -> None:
    fake = FakeNvml()
    fake.cards[0]["processes"]["Compute"] = [[10, 100], [99, 100]]
    assert meter(fake, own=frozenset({10})).read().others == ()


def test_arguments_of_a_command_line_are_not_recorded() -> None:
    assert "secret" not in repr(meter(FakeNvml(), 1).read())


@pytest.mark.parametrize(
    ("driver", "counted"),
    [
        ("595.45.04", {"power_cap", "thermal", "sw_thermal", "hw_thermal", "power_brake"}),
        ("590.44", {"power_cap", "thermal", "sw_thermal", "hw_thermal", "power_brake"}),
        ("580.65.06", {"power_cap", "thermal"}),  # field numbers may have another meaning
        ("unknown", {"power_cap", "thermal"}),
    ],
)
def test_detailed_counters_are_read_only_from_known_drivers(driver: str, counted: set[str]) -> None:
    assert (meter(FakeNvml(driver=driver)).read().throttled_s or {}).keys() == counted


def test_old_counters_are_read_from_fields_if_the_function_is_missing() -> None:
    fake = FakeNvml(unsupported=("nvmlDeviceGetViolationStatus",), driver="580.1")
    fake.cards[0]["fields_ns"] = {"74": 1_500_000_000, "75": 0}
    assert meter(fake).read().throttled_s == {"power_cap": 1.5, "thermal": 0.0}


def test_special_values_of_nvml_are_none() -> None:
    fake = FakeNvml()
    fake.cards[0] |= {"power_limit_mw": 2**32 - 1, "energy_mj": 2**64 - 1}
    assert meter(fake).describe().power_limit_w is None
    assert meter(fake).read().energy_j is None


def test_energy_is_read_without_other_calls() -> None:
    """A slow read between two windows would add idle energy."""
    fake = FakeNvml()
    nvml_meter = meter(fake)
    fake.calls.clear()
    assert nvml_meter.energy_j() == nvml_meter.read().energy_j
    assert fake.calls[0] == "nvmlDeviceGetTotalEnergyConsumption"
    assert "nvmlDeviceGetComputeRunningProcesses" in fake.calls[1:3]


def test_meter_only_calls_getters() -> None:
    fake = FakeNvml()
    nvml_meter = meter(fake)
    nvml_meter.describe()
    nvml_meter.read()
    nvml_meter.energy_j()
    assert fake.calls
    assert all("Get" in name for name in fake.calls)


def test_error_without_nvidia_ml_py_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(nvml, "MODULE", "pynvml_that_is_not_there")
    with pytest.raises(CardUnknownError, match=r"pip install 'googlenet-bench\[gpu\]'$"):
        nvml.load()


def test_load_without_a_driver_raises_card_unknown_error() -> None:
    if driver.devices():
        pytest.skip("there is a CUDA device here")
    with pytest.raises(CardUnknownError, match="NVML does not start: "):
        nvml.load()


def test_descendants_are_this_process_and_its_children() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        assert nvml.is_descendant(os.getpid())
        assert nvml.is_descendant(child.pid)
        assert not nvml.is_descendant(os.getppid())
        assert not nvml.is_descendant(2**31 - 1)  # for example of another namespace
    finally:
        child.communicate(b"\n")


def test_field_numbers_are_those_of_nvidia_ml_py() -> None:
    import pynvml

    assert nvml._DETAILED == {
        "sw_thermal": pynvml.NVML_FI_DEV_CLOCKS_EVENT_REASON_SW_THERM_SLOWDOWN,
        "hw_thermal": pynvml.NVML_FI_DEV_CLOCKS_EVENT_REASON_HW_THERM_SLOWDOWN,
        "power_brake": pynvml.NVML_FI_DEV_CLOCKS_EVENT_REASON_HW_POWER_BRAKE_SLOWDOWN,
    }
    assert nvml._POLICIES == {
        "power_cap": (pynvml.NVML_PERF_POLICY_POWER, pynvml.NVML_FI_DEV_PERF_POLICY_POWER),
        "thermal": (pynvml.NVML_PERF_POLICY_THERMAL, pynvml.NVML_FI_DEV_PERF_POLICY_THERMAL),
    }


@pytest.mark.gpu
def test_real_card_is_read() -> None:
    identity = driver.identity(0)
    assert identity is not None
    nvml_meter = NvmlMeter(nvml.load(), identity)
    assert identity.uuid in str(torch.cuda.get_device_properties(0).uuid)
    torch.cuda.empty_cache()  # otherwise memory cached by other tests would be reused
    before = nvml_meter.read()
    tensor = torch.ones(2**28, device="cuda:0")
    torch.cuda.synchronize(0)
    after = nvml_meter.read()
    assert before.used_bytes is not None
    assert after.used_bytes is not None
    assert after.used_bytes - before.used_bytes >= tensor.numel() * tensor.element_size()
    assert after.sm_hz is not None
    assert after.sm_hz > 0
    assert (after.energy_j or 0) >= (before.energy_j or 0)
