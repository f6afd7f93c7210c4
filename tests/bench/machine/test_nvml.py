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
from bench.machine.nvml import CardUnknownError, NvmlMeter
from tests.bench.fake_nvml import IDENTITIES, MADE, UUIDS, FakeNvml

FIRST, SECOND = MADE["cards"]
ASKED_FOR = {
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
DESCRIBED = {
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
def test_a_card_is_found_by_what_cuda_calls_it_and_not_by_its_index(card: int) -> None:
    fake = FakeNvml()
    fake.cards.reverse()  # NVML's order is not CUDA's
    assert meter(fake, card).describe()["uuid"] == UUIDS[card]


def test_a_card_whose_uuid_is_hidden_is_found_by_its_place_on_the_bus() -> None:
    fake = FakeNvml()
    identity = Identity(uuid="0" * 8, pci_bus_id=SECOND["bus_id"])
    assert NvmlMeter(fake, identity).describe()["uuid"] == UUIDS[1]


def test_a_card_that_nvml_does_not_know_is_unknown() -> None:
    with pytest.raises(CardUnknownError, match=r"no card GPU-0, nor any at 00:00\.0"):
        NvmlMeter(FakeNvml(), Identity(uuid="0", pci_bus_id="00:00.0"))


def test_an_instance_has_its_own_memory_and_processes_and_the_card_s_clocks() -> None:
    fake = FakeNvml()
    uuid = "33333333-3333-3333-3333-333333333333"
    fake.instances[f"MIG-{uuid}"] = 1
    fake.cards[1]["mig"] = [1, 1]
    fake.cards[1]["instance"] = {
        "memory": {"used": 4096},
        "processes": {"Compute": [[7, None]], "Graphics": [], "MPSCompute": []},
    }
    found = NvmlMeter(fake, Identity(uuid=uuid, pci_bus_id=SECOND["bus_id"]))
    assert found.describe()["mig"] is True
    reading = found.read()
    assert reading.sm_hz == SECOND["clocks_mhz"]["1"] * 10**6
    assert reading.used_bytes == 4096
    assert [process.pid for process in reading.others or ()] == [7]


def test_a_reading_is_in_si_units() -> None:
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


@pytest.mark.parametrize("field", ASKED_FOR)
def test_what_a_card_does_not_tell_is_none_and_no_crash(field: str) -> None:
    whole = meter(FakeNvml(), 1).read()
    without = meter(FakeNvml(unsupported=ASKED_FOR[field]), 1).read()
    missing = {name for name in ASKED_FOR if getattr(without, name) is None}
    assert missing == {name for name in ASKED_FOR if ASKED_FOR[name] == ASKED_FOR[field]}
    assert all(getattr(whole, name) is not None for name in ASKED_FOR)
    same = {f.name for f in fields(CardReading)} - missing - {"own_processes", "own_bytes"}
    assert all(getattr(without, name) == getattr(whole, name) for name in same)


@pytest.mark.parametrize("field", DESCRIBED)
def test_what_is_not_told_of_a_card_is_none(field: str) -> None:
    without = meter(FakeNvml(unsupported=(DESCRIBED[field],))).describe({})
    missing = {name for name, value in without.items() if value is None}
    assert missing == {name for name in DESCRIBED if DESCRIBED[name] == DESCRIBED[field]}


def test_a_card_is_described_with_what_does_not_change(tmp_path: Path) -> None:
    fake = FakeNvml()
    nowhere = {"CUDA_MPS_PIPE_DIRECTORY": str(tmp_path)}
    expected = {
        "uuid": UUIDS[0],
        "driver": MADE["driver"],
        "mig": False,
        "mps_seen": False,
        "persistence": True,
        "compute_mode": "default",
        "power_limit_w": 400.0,
        "most_sm_hz": 1_500_000_000,
        "most_memory_hz": 2_000_000_000,
    }
    assert meter(fake).describe(nowhere) == expected
    fake.cards[0] |= {"temperature_c": 80, "clocks_mhz": {"1": 1, "2": 1}, "energy_mj": 1}
    assert meter(fake).describe(nowhere) == expected


def test_a_daemon_s_pipe_or_its_clients_are_signs_of_mps(tmp_path: Path) -> None:
    fake, variables = FakeNvml(), {"CUDA_MPS_PIPE_DIRECTORY": str(tmp_path)}
    assert meter(fake).describe(variables)["mps_seen"] is False
    fake.cards[0]["processes"]["MPSCompute"] = [[5, 1]]
    assert meter(fake).describe(variables)["mps_seen"] is True
    fake.cards[0]["processes"]["MPSCompute"] = []
    (tmp_path / "control").touch()
    assert meter(fake).describe(variables)["mps_seen"] is True


def test_processes_are_told_apart_by_whose_they_are() -> None:
    fake, unnamed = FakeNvml(), 2**22 + 1  # Linux gives no process a larger number than 2²²
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


def test_one_of_ours_that_has_just_ended_is_nobody_else() -> None:
    fake = FakeNvml()
    fake.cards[0]["processes"]["Compute"] = [[10, 100], [11, 100]]

    def others(own: frozenset[int]) -> list[int]:
        found = NvmlMeter(
            fake, IDENTITIES[0], is_own=own.__contains__, exists=lambda pid: pid != 11
        )
        return [process.pid for process in found.read().others or ()]

    assert others(own=frozenset({10})) == []
    # None of ours is listed by its number: then what is not there may be in another namespace.
    assert others(own=frozenset()) == [10, 11]


def test_the_server_of_mps_is_its_clients() -> None:
    fake = FakeNvml()
    fake.cards[0]["processes"]["Compute"] = [[10, 100], [99, 100]]
    assert meter(fake, own=frozenset({10})).read().others == ()


def test_a_command_line_s_arguments_are_nobody_s_business() -> None:
    assert "secret" not in repr(meter(FakeNvml(), 1).read())


@pytest.mark.parametrize(
    ("driver", "counted"),
    [
        ("595.45.04", {"power_cap", "thermal", "sw_thermal", "hw_thermal", "power_brake"}),
        ("590.44", {"power_cap", "thermal", "sw_thermal", "hw_thermal", "power_brake"}),
        ("580.65.06", {"power_cap", "thermal"}),  # its numbers may mean another thing
        ("unknown", {"power_cap", "thermal"}),
    ],
)
def test_a_counter_is_read_where_its_number_is_sure(driver: str, counted: set[str]) -> None:
    assert (meter(FakeNvml(driver=driver)).read().throttled_s or {}).keys() == counted


def test_the_two_old_counters_have_fields_too() -> None:
    fake = FakeNvml(unsupported=("nvmlDeviceGetViolationStatus",), driver="580.1")
    fake.cards[0]["fields_ns"] = {"74": 1_500_000_000, "75": 0}
    assert meter(fake).read().throttled_s == {"power_cap": 1.5, "thermal": 0.0}


def test_a_number_that_means_that_there_is_none_is_none() -> None:
    fake = FakeNvml()
    fake.cards[0] |= {"power_limit_mw": 2**32 - 1, "energy_mj": 2**64 - 1}
    assert meter(fake).describe()["power_limit_w"] is None
    assert meter(fake).read().energy_j is None


def test_the_counter_of_energy_is_read_alone() -> None:
    """A card is idle while it is read between two windows, and the counter goes on."""
    fake = FakeNvml()
    found = meter(fake)
    fake.asked.clear()
    assert found.energy_j() == found.read().energy_j
    assert fake.asked[0] == "nvmlDeviceGetTotalEnergyConsumption"
    assert "nvmlDeviceGetComputeRunningProcesses" in fake.asked[1:3]


def test_a_card_is_only_ever_read() -> None:
    fake = FakeNvml()
    found = meter(fake)
    found.describe()
    found.read()
    found.energy_j()
    assert fake.asked
    assert all("Get" in name for name in fake.asked)


def test_without_nvidia_ml_py_the_sentence_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(nvml, "MODULE", "pynvml_that_is_not_there")
    with pytest.raises(CardUnknownError, match=r"pip install 'googlenet-bench\[gpu\]' would tell"):
        nvml.load()


def test_without_a_driver_nvml_says_so() -> None:
    if driver.devices():
        pytest.skip("there is a CUDA device here")
    with pytest.raises(CardUnknownError, match="NVML does not start: "):
        nvml.load()


def test_this_run_s_processes_are_what_it_started() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        assert nvml.is_descendant(os.getpid())
        assert nvml.is_descendant(child.pid)
        assert not nvml.is_descendant(os.getppid())
        assert not nvml.is_descendant(2**31 - 1)  # of another namespace, say
    finally:
        child.communicate(b"\n")


def test_the_fields_are_those_of_the_package() -> None:
    import pynvml

    assert nvml._FINER == {
        "sw_thermal": pynvml.NVML_FI_DEV_CLOCKS_EVENT_REASON_SW_THERM_SLOWDOWN,
        "hw_thermal": pynvml.NVML_FI_DEV_CLOCKS_EVENT_REASON_HW_THERM_SLOWDOWN,
        "power_brake": pynvml.NVML_FI_DEV_CLOCKS_EVENT_REASON_HW_POWER_BRAKE_SLOWDOWN,
    }
    assert nvml._POLICIES == {
        "power_cap": (pynvml.NVML_PERF_POLICY_POWER, pynvml.NVML_FI_DEV_PERF_POLICY_POWER),
        "thermal": (pynvml.NVML_PERF_POLICY_THERMAL, pynvml.NVML_FI_DEV_PERF_POLICY_THERMAL),
    }


@pytest.mark.gpu
def test_a_card_tells_its_state() -> None:
    identity = driver.identity(0)
    assert identity is not None
    found = NvmlMeter(nvml.load(), identity)
    assert identity.uuid in str(torch.cuda.get_device_properties(0).uuid)
    torch.cuda.empty_cache()  # or what other tests have left is taken again
    before = found.read()
    held = torch.ones(2**28, device="cuda:0")
    torch.cuda.synchronize(0)
    after = found.read()
    assert before.used_bytes is not None
    assert after.used_bytes is not None
    assert after.used_bytes - before.used_bytes >= held.numel() * held.element_size()
    assert after.sm_hz is not None
    assert after.sm_hz > 0
    assert (after.energy_j or 0) >= (before.energy_j or 0)
