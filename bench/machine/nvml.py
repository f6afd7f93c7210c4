"""NVML: what the NVIDIA driver says of a card; the only door to pynvml, and it only ever reads.

NVML is not CUDA: a process that asks it has no context, and may go on to fork. So the process that
measures asks, and workers need neither it nor nvidia-ml-py.

Cards are found by what CUDA calls them: CUDA counts those that CUDA_VISIBLE_DEVICES shows, the
fastest first, NVML all of them by their place on the bus.
"""

import importlib
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from bench.machine.card import REASONS, CardProcess, CardReading
from bench.machine.driver import Identity

MODULE, PACKAGE, EXTRA = "pynvml", "nvidia-ml-py", "googlenet-bench[gpu]"
MPS_SERVER = "nvidia-cuda-mps-server"
_MPS_FOLDER = "/tmp/nvidia-mps"  # noqa: S108 - where NVIDIA's daemon makes its pipes unless told
COMPUTE_MODES = ("default", "exclusive_thread", "prohibited", "exclusive_process")
# Counters in nanoseconds since the driver was loaded: a policy of nvmlDeviceGetViolationStatus, and
# the field of the same where that function is gone.
_POLICIES = {"power_cap": (0, 74), "thermal": (1, 75)}  # NVML_PERF_POLICY_POWER and _THERMAL
# Finer ones. Earlier drivers have none, or under other numbers that mean another thing by now:
# nvidia-ml-py 13.580.65 and 13.580.126 differ.
_FINER = {"sw_thermal": 269, "hw_thermal": 270, "power_brake": 271}
_FINER_SINCE = 590  # the driver's major version
_VALUES = ("dVal", "uiVal", "ulVal", "ullVal", "sllVal", "siVal", "usVal")  # by nvmlValueType_t
_NOT_KNOWN = frozenset({2**32 - 1, 2**64 - 1})  # what NVML answers for a number that it has not


class CardUnknownError(Exception):
    """Nobody says what state a card is in; the message is a sentence that says why."""


def load() -> Any:
    """pynvml, ready to be asked; raises ``CardUnknownError`` where it or the driver is missing."""
    try:
        nvml = importlib.import_module(MODULE)
    except ImportError:
        raise CardUnknownError(
            f"{PACKAGE} is not installed; pip install '{EXTRA}' would tell"
        ) from None
    try:
        nvml.nvmlInit()
    except nvml.NVMLError as error:
        raise CardUnknownError(f"NVML does not start: {error}") from error
    return nvml


class NvmlMeter:
    """A card that NVML reads."""

    def __init__(
        self,
        nvml: Any,
        identity: Identity,
        is_own: Callable[[int], bool] | None = None,
        exists: Callable[[int], bool] = psutil.pid_exists,
    ) -> None:
        """``identity`` is CUDA's, ``is_own`` tells whether a process is this run's.

        Raises ``CardUnknownError`` where NVML has no such card.
        """
        self._nvml = nvml
        self._is_own = is_own or is_descendant
        self._exists = exists
        self._whole, self._part = self._find(identity)
        self._finer = finer_fields(self._ask("nvmlSystemGetDriverVersion") or "")

    def describe(self, variables: Mapping[str, str] = os.environ) -> dict[str, Any]:
        """What does not change while it is measured on; None for what is not told."""
        mode = self._ask("nvmlDeviceGetComputeMode", self._whole)
        mig = self._ask("nvmlDeviceGetMigMode", self._whole)
        persistence = self._ask("nvmlDeviceGetPersistenceMode", self._whole)
        return {
            "uuid": self._ask("nvmlDeviceGetUUID", self._whole),
            "driver": self._ask("nvmlSystemGetDriverVersion"),
            "mig": None if mig is None else bool(mig[0]),
            "mps_seen": self._mps_seen(variables),
            "persistence": None if persistence is None else bool(persistence),
            "compute_mode": None if mode is None else dict(enumerate(COMPUTE_MODES)).get(mode),
            "power_limit_w": _from_thousandths(self._number("nvmlDeviceGetEnforcedPowerLimit")),
            "most_sm_hz": self._hertz("nvmlDeviceGetMaxClockInfo", "NVML_CLOCK_SM"),
            "most_memory_hz": self._hertz("nvmlDeviceGetMaxClockInfo", "NVML_CLOCK_MEM"),
        }

    def read(self) -> CardReading:
        """Read it now."""
        processes = self._processes()
        own = [found for found in processes or () if self._is_own(found.pid)]
        others = [found for found in processes or () if found not in own]
        if own:  # by numbers of our namespace: one that is not there has just ended
            others = [found for found in others if self._exists(found.pid)]
        held = [found.used_bytes for found in own if found.used_bytes is not None]
        return CardReading(
            sm_hz=self._hertz("nvmlDeviceGetClockInfo", "NVML_CLOCK_SM"),
            memory_hz=self._hertz("nvmlDeviceGetClockInfo", "NVML_CLOCK_MEM"),
            temperature_c=self._temperature_c(),
            power_w=_from_thousandths(self._number("nvmlDeviceGetPowerUsage")),
            reasons=self._reasons(),
            throttled_s=self._throttled_s(),
            energy_j=self.energy_j(),
            used_bytes=self._used_bytes(),
            own_processes=len(own),
            own_bytes=sum(held) if len(held) == len(own) else None,
            others=None
            if processes is None
            # It does its clients' work, and they are listed themselves.
            else tuple(found for found in others if found.name != MPS_SERVER),
        )

    def energy_j(self) -> float | None:
        """Read its energy counter alone: a call, where listing processes takes many."""
        return _from_thousandths(self._number("nvmlDeviceGetTotalEnergyConsumption"))

    def _ask(self, name: str, *arguments: Any) -> Any:
        """What a function of NVML answers; None where there is no such thing here."""
        function = getattr(self._nvml, name, None)
        if function is None:
            return None
        try:
            return function(*arguments)
        except (self._nvml.NVMLError, self._nvml.NVMLLibraryMismatchError):
            return None

    def _number(self, name: str, *arguments: Any) -> int | None:
        found = self._ask(name, self._whole, *arguments)
        return None if found is None or found in _NOT_KNOWN else int(found)

    def _hertz(self, name: str, clock: str) -> int | None:
        megahertz = self._number(name, getattr(self._nvml, clock))
        return None if megahertz is None else megahertz * 10**6

    def _find(self, identity: Identity) -> tuple[Any, Any]:
        """The card, and the part of it that CUDA uses: an instance of MIG, or the card itself."""
        part = self._ask("nvmlDeviceGetHandleByUUID", f"MIG-{identity.uuid}")
        if part is not None:
            whole = self._ask("nvmlDeviceGetDeviceHandleFromMigDeviceHandle", part)
            if whole is not None:
                return whole, part
        whole = self._ask("nvmlDeviceGetHandleByUUID", f"GPU-{identity.uuid}")
        if whole is None:  # a UUID may be hidden from a virtual machine
            whole = self._ask("nvmlDeviceGetHandleByPciBusId", identity.pci_bus_id)
        if whole is None:
            raise CardUnknownError(
                f"NVML knows no card GPU-{identity.uuid}, nor any at {identity.pci_bus_id}"
            )
        return whole, whole

    def _temperature_c(self) -> int | None:
        """Of the chip; under the name that CUDA 14 drops, and then under that which it keeps."""
        sensor = self._nvml.NVML_TEMPERATURE_GPU
        found = self._number("nvmlDeviceGetTemperature", sensor)
        return self._number("nvmlDeviceGetTemperatureV", sensor) if found is None else found

    def _reasons(self) -> tuple[str, ...] | None:
        bits = self._number("nvmlDeviceGetCurrentClocksEventReasons")
        if bits is None:  # as drivers before 535 call it
            bits = self._number("nvmlDeviceGetCurrentClocksThrottleReasons")
        return None if bits is None else tuple(REASONS[bit] for bit in REASONS if bits & bit)

    def _throttled_s(self) -> Mapping[str, float] | None:
        """Every counter that this driver has; None where it has none."""
        found_ns: dict[str, int] = {}
        fields = dict(self._finer)
        for name, (policy, field) in _POLICIES.items():
            violation = self._ask("nvmlDeviceGetViolationStatus", self._whole, policy)
            if violation is None:
                fields[name] = field
            else:
                found_ns[name] = violation.violationTime
        if fields:
            values = self._ask("nvmlDeviceGetFieldValues", self._whole, list(fields.values()))
            for name, value in zip(fields, values or (), strict=False):
                if value.nvmlReturn == 0 and value.valueType < len(_VALUES):
                    found_ns[name] = getattr(value.value, _VALUES[value.valueType])
        return {name: int(ns) / 1e9 for name, ns in found_ns.items()} or None

    def _used_bytes(self) -> int | None:
        """Without what the driver keeps for itself, where it tells them apart."""
        version = getattr(self._nvml, "nvmlMemory_v2", None)
        found = version and self._ask("nvmlDeviceGetMemoryInfo", self._part, version)
        return int(found.used) if found else None

    def _processes(self) -> tuple[CardProcess, ...] | None:
        """Whoever has a context on it, once each; None where it does not say."""
        kinds = ("Compute", "Graphics", "MPSCompute")
        lists = [self._ask(f"nvmlDeviceGet{kind}RunningProcesses", self._part) for kind in kinds]
        if lists[0] is None:
            return None
        found = {
            one.pid: one.usedGpuMemory for one in (one for some in lists for one in some or ())
        }
        return tuple(
            CardProcess(pid=pid, name=self._name(pid), used_bytes=used_bytes)
            for pid, used_bytes in sorted(found.items())
        )

    def _name(self, pid: int) -> str | None:
        """The file that a process runs, or what it calls itself."""
        name = self._ask("nvmlSystemGetProcessName", pid)
        if not name:
            with suppress(psutil.Error):
                return psutil.Process(pid).name()
            return None
        # A command line may hold what is nobody's business: its first word is enough.
        return Path(str(name).split(maxsplit=1)[0]).name or None

    def _mps_seen(self, variables: Mapping[str, str]) -> bool:
        """Whether there is a sign of NVIDIA's Multi-Process Service; none is no proof.

        NVML does not say whether it runs. Its daemon keeps a pipe in a folder that one may name,
        and a container need not see that.
        """
        folder = Path(variables.get("CUDA_MPS_PIPE_DIRECTORY") or _MPS_FOLDER)
        clients = self._ask("nvmlDeviceGetMPSComputeRunningProcesses", self._part)
        return (folder / "control").exists() or bool(clients)


def finer_fields(driver: str) -> Mapping[str, int]:
    """The fields of the finer counters under a driver, by what they count."""
    major = driver.partition(".")[0]
    return _FINER if major.isdecimal() and int(major) >= _FINER_SINCE else {}


def is_descendant(pid: int) -> bool:
    """Whether a process is this one, or was started by it, or by one that it started."""
    if pid == os.getpid():
        return True
    try:
        return any(parent.pid == os.getpid() for parent in psutil.Process(pid).parents())
    except (psutil.Error, ValueError):
        return False


def _from_thousandths(value: int | None) -> float | None:
    """Watts and joules, of which NVML counts the thousandths."""
    return None if value is None else value / 1000
