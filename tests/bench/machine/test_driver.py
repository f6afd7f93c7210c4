from typing import Any

import pytest

from bench.machine import driver


def test_without_a_driver_there_are_no_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_name: str) -> None:
        raise OSError("libcuda.so.1: cannot open shared object file")

    monkeypatch.setattr("ctypes.CDLL", missing)
    assert driver.devices() == 0


@pytest.mark.parametrize(("status", "count", "expected"), [(0, 2, 2), (0, 0, 0), (100, 2, 0)])
def test_devices_and_names_come_from_the_driver(
    monkeypatch: pytest.MonkeyPatch, status: int, count: int, expected: int
) -> None:
    class Driver:
        def cuInit(self, _flags: int) -> int:  # noqa: N802 - the driver's name
            return status

        def cuDeviceGetCount(self, pointer: Any) -> int:  # noqa: N802 - the driver's name
            pointer._obj.value = count
            return 0

        def cuDeviceGet(self, pointer: Any, index: int) -> int:  # noqa: N802 - the driver's name
            pointer._obj.value = 10 + index
            return 0

        def cuDeviceGetName(self, name: Any, _size: int, device: Any) -> int:  # noqa: N802 - the same
            name.value = f"NVIDIA H{device.value}".encode()
            return 0

    monkeypatch.setattr("ctypes.CDLL", lambda _name: Driver())
    assert driver.devices() == expected
    assert driver.names() == ("NVIDIA H10", "NVIDIA H11")[:expected]


class TwoCards:
    """A driver with two devices that have identities."""

    def __init__(self, status: int = 0) -> None:
        self._status = status

    def cuInit(self, _flags: int) -> int:  # noqa: N802 - the driver's name
        return 0

    def cuDeviceGet(self, pointer: Any, index: int) -> int:  # noqa: N802 - the driver's name
        pointer._obj.value = index + 40
        return 0 if index < 2 else 101

    def cuDeviceGetUuid_v2(self, pointer: Any, device: Any) -> int:  # noqa: N802 - its name
        pointer._obj[:] = bytes([device.value]) * 16
        return self._status

    def cuDeviceGetPCIBusId(self, text: Any, size: int, device: Any) -> int:  # noqa: N802 - same
        assert size >= len("00000000:00:00.0") + 1
        text.value = f"0000:{device.value:02X}:00.0".encode()
        return self._status


def test_identity_is_uuid_and_bus_id(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ctypes.CDLL", lambda _name: TwoCards())
    assert driver.identity(1) == (
        "29292929-2929-2929-2929-292929292929",
        "0000:29:00.0",
    )
    assert driver.identity(2) is None
    monkeypatch.setattr("ctypes.CDLL", lambda _name: TwoCards(status=999))
    assert driver.identity(1) is None


def test_without_a_driver_identity_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_name: str) -> None:
        raise OSError("libcuda.so.1: cannot open shared object file")

    monkeypatch.setattr("ctypes.CDLL", missing)
    assert driver.identity(0) is None


class Nvml:
    """The part of NVML's library that PyTorch needs to count devices."""

    def __init__(self, status: int) -> None:
        self._status = status

    def nvmlInit(self) -> int:  # noqa: N802 - its name
        return self._status


@pytest.mark.parametrize(
    ("status", "visible", "expected"),
    [
        (0, {}, True),
        (0, {"CUDA_VISIBLE_DEVICES": "1,0"}, True),
        (0, {"CUDA_VISIBLE_DEVICES": "MIG-1234"}, False),
        (9, {}, False),
        (None, {}, False),
    ],
)
def test_devices_can_be_counted_without_cuda_if_nvml_works(
    status: int | None, visible: dict[str, str], expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(name: str) -> Nvml:
        assert name == "libnvidia-ml.so.1"
        if status is None:
            raise OSError("no such library")
        return Nvml(status)

    monkeypatch.setattr("ctypes.CDLL", load)
    assert driver.can_count_without_cuda(visible) is expected
