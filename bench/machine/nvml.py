"""NVML: facts about a card from the NVIDIA driver. Only this module uses pynvml, and only reads.

NVML is not CUDA: it creates no context, so the calling process may fork afterwards. Only the
coordinating process calls it; workers need neither NVML nor nvidia-ml-py.

Cards are identified by UUID, because numbers differ: CUDA numbers the cards that
CUDA_VISIBLE_DEVICES shows, the fastest first; NVML numbers all cards in the order of the bus.
"""

import importlib
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from bench.machine.card import PACKAGE, REASONS, CardProcess, CardReading
from bench.machine.driver import Identity
from bench.machine.environment import CardFacts

MODULE, EXTRA = "pynvml", "googlenet-bench[gpu]"
MPS_SERVER = "nvidia-cuda-mps-server"
_MPS_FOLDER = "/tmp/nvidia-mps"  # noqa: S108 - default folder of the pipes of NVIDIA's daemon
COMPUTE_MODES = ("default", "exclusive_thread", "prohibited", "exclusive_process")
# Counters in nanoseconds since the driver was loaded: the policy for nvmlDeviceGetViolationStatus,
# and the equivalent field for drivers without that function.
_POLICIES = {"power_cap": (0, 74), "thermal": (1, 75)}  # NVML_PERF_POLICY_POWER and _THERMAL
# More detailed counters. Earlier drivers do not have them, or have them under numbers that now mean
# something else: nvidia-ml-py 13.580.65 and 13.580.126 differ.
_DETAILED = {"sw_thermal": 269, "hw_thermal": 270, "power_brake": 271}
_DETAILED_SINCE = 590  # the driver's major version
_VALUES = ("dVal", "uiVal", "ulVal", "ullVal", "sllVal", "siVal", "usVal")  # by nvmlValueType_t
_NOT_KNOWN = frozenset({2**32 - 1, 2**64 - 1})  # NVML's values for an unknown number


class CardUnknownError(Exception):
    """The state of a card cannot be read; the message is a sentence with the reason."""


def load() -> Any:
    """Return pynvml, initialised. Raises ``CardUnknownError`` if it or the driver is missing."""
    try:
        nvml = importlib.import_module(MODULE)
    except ImportError:
        raise CardUnknownError(
            f"{PACKAGE} is not installed; to read the card, pip install '{EXTRA}'"
        ) from None
    try:
        nvml.nvmlInit()
    except nvml.NVMLError as error:
        raise CardUnknownError(f"NVML does not start: {error}") from error
    return nvml


class NvmlMeter:
    """Reads a card through NVML."""

    def __init__(
        self,
        nvml: Any,
        identity: Identity,
        is_own: Callable[[int], bool] | None = None,
        exists: Callable[[int], bool] = psutil.pid_exists,
    ) -> None:
        """Find the card that CUDA identifies as ``identity``.

        ``is_own`` says whether a process id belongs to this run, ``exists`` whether there is such a
        process. Raises ``CardUnknownError`` if NVML does not know the card.
        """
        self._nvml = nvml
        self._is_own = is_own or is_descendant
        self._exists = exists
        self._card, self._part = self._find(identity)
        self._detailed_fields = detailed_fields(self._call("nvmlSystemGetDriverVersion") or "")

    def describe(self, variables: Mapping[str, str] = os.environ) -> CardFacts:
        """Return the facts that do not change during a run."""
        mode = self._call("nvmlDeviceGetComputeMode", self._card)
        mig = self._call("nvmlDeviceGetMigMode", self._card)
        persistence = self._call("nvmlDeviceGetPersistenceMode", self._card)
        return CardFacts(
            uuid=self._call("nvmlDeviceGetUUID", self._card),
            driver=self._call("nvmlSystemGetDriverVersion"),
            mig=None if mig is None else bool(mig[0]),
            mps_seen=self._mps_seen(variables),
            persistence=None if persistence is None else bool(persistence),
            compute_mode=None if mode is None else dict(enumerate(COMPUTE_MODES)).get(mode),
            power_limit_w=_from_thousandths(self._number("nvmlDeviceGetEnforcedPowerLimit")),
            most_sm_hz=self._hertz("nvmlDeviceGetMaxClockInfo", "NVML_CLOCK_SM"),
            most_memory_hz=self._hertz("nvmlDeviceGetMaxClockInfo", "NVML_CLOCK_MEM"),
        )

    def read(self) -> CardReading:
        """Return the current state."""
        processes = self._processes()
        own = [process for process in processes or () if self._is_own(process.pid)]
        others = [process for process in processes or () if process not in own]
        if own:  # ids are of our namespace: a process that does not exist has just ended
            others = [process for process in others if self._exists(process.pid)]
        own_sizes = [process.used_bytes for process in own if process.used_bytes is not None]
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
            own_bytes=sum(own_sizes) if len(own_sizes) == len(own) else None,
            others=None
            if processes is None
            # It works for its clients, which are listed themselves.
            else tuple(process for process in others if process.name != MPS_SERVER),
        )

    def energy_j(self) -> float | None:
        """Return only the energy counter: one call, whereas listing processes takes many."""
        return _from_thousandths(self._number("nvmlDeviceGetTotalEnergyConsumption"))

    def _call(self, name: str, *arguments: Any) -> Any:
        """Call a function of NVML by name; return None if it is missing or fails."""
        function = getattr(self._nvml, name, None)
        if function is None:
            return None
        try:
            return function(*arguments)
        except (self._nvml.NVMLError, self._nvml.NVMLLibraryMismatchError):
            return None

    def _number(self, name: str, *arguments: Any) -> int | None:
        value = self._call(name, self._card, *arguments)
        return None if value is None or value in _NOT_KNOWN else int(value)

    def _hertz(self, name: str, clock: str) -> int | None:
        megahertz = self._number(name, getattr(self._nvml, clock))
        return None if megahertz is None else megahertz * 10**6

    def _find(self, identity: Identity) -> tuple[Any, Any]:
        """Return the card and the part of it that CUDA uses: a MIG instance, or the card itself."""
        part = self._call("nvmlDeviceGetHandleByUUID", f"MIG-{identity.uuid}")
        if part is not None:
            card = self._call("nvmlDeviceGetDeviceHandleFromMigDeviceHandle", part)
            if card is not None:
                return card, part
        card = self._call("nvmlDeviceGetHandleByUUID", f"GPU-{identity.uuid}")
        if card is None:  # UUIDs may be hidden in a virtual machine
            card = self._call("nvmlDeviceGetHandleByPciBusId", identity.pci_bus_id)
        if card is None:
            raise CardUnknownError(
                f"NVML knows no card GPU-{identity.uuid}, and none at {identity.pci_bus_id}"
            )
        return card, card

    def _temperature_c(self) -> int | None:
        """Return the chip's temperature, from a function that CUDA 14 drops or its successor."""
        sensor = self._nvml.NVML_TEMPERATURE_GPU
        temperature_c = self._number("nvmlDeviceGetTemperature", sensor)
        return (
            self._number("nvmlDeviceGetTemperatureV", sensor)
            if temperature_c is None
            else temperature_c
        )

    def _reasons(self) -> tuple[str, ...] | None:
        bits = self._number("nvmlDeviceGetCurrentClocksEventReasons")
        if bits is None:  # its name in drivers before 535
            bits = self._number("nvmlDeviceGetCurrentClocksThrottleReasons")
        return None if bits is None else tuple(REASONS[bit] for bit in REASONS if bits & bit)

    def _throttled_s(self) -> Mapping[str, float] | None:
        """Return the seconds of every counter of this driver; None if it has none."""
        counters_ns: dict[str, int] = {}
        fields = dict(self._detailed_fields)
        for name, (policy, field) in _POLICIES.items():
            violation = self._call("nvmlDeviceGetViolationStatus", self._card, policy)
            if violation is None:
                fields[name] = field
            else:
                counters_ns[name] = violation.violationTime
        if fields:
            values = self._call("nvmlDeviceGetFieldValues", self._card, list(fields.values()))
            for name, value in zip(fields, values or (), strict=False):
                if value.nvmlReturn == 0 and value.valueType < len(_VALUES):
                    counters_ns[name] = getattr(value.value, _VALUES[value.valueType])
        return {name: int(ns) / 1e9 for name, ns in counters_ns.items()} or None

    def _used_bytes(self) -> int | None:
        """Return the used memory, without the driver's reserve if it is reported separately."""
        version = getattr(self._nvml, "nvmlMemory_v2", None)
        memory = version and self._call("nvmlDeviceGetMemoryInfo", self._part, version)
        return int(memory.used) if memory else None

    def _processes(self) -> tuple[CardProcess, ...] | None:
        """Return the processes with a context on the card, without duplicates; None if unknown."""
        kinds = ("Compute", "Graphics", "MPSCompute")
        lists = [self._call(f"nvmlDeviceGet{kind}RunningProcesses", self._part) for kind in kinds]
        if lists[0] is None:
            return None
        used_bytes_by_pid = {
            entry.pid: entry.usedGpuMemory
            for entry in (entry for some in lists for entry in some or ())
        }
        return tuple(
            CardProcess(pid=pid, name=self._name(pid), used_bytes=used_bytes)
            for pid, used_bytes in sorted(used_bytes_by_pid.items())
        )

    def _name(self, pid: int) -> str | None:
        """Return the file name of a process's program, or the name that it has given itself."""
        name = self._call("nvmlSystemGetProcessName", pid)
        if not name:
            with suppress(psutil.Error):
                return psutil.Process(pid).name()
            return None
        # A command line may contain secrets, so only its first word is used.
        return Path(str(name).split(maxsplit=1)[0]).name or None

    def _mps_seen(self, variables: Mapping[str, str]) -> bool:
        """Whether there is a sign of NVIDIA's Multi-Process Service; it may run without one.

        NVML does not report whether it runs. Its daemon has a pipe in a configurable folder, which
        may be invisible in a container.
        """
        folder = Path(variables.get("CUDA_MPS_PIPE_DIRECTORY") or _MPS_FOLDER)
        clients = self._call("nvmlDeviceGetMPSComputeRunningProcesses", self._part)
        return (folder / "control").exists() or bool(clients)


def detailed_fields(driver: str) -> Mapping[str, int]:
    """Return the fields of the more detailed counters of a driver, by reason."""
    major = driver.partition(".")[0]
    return _DETAILED if major.isdecimal() and int(major) >= _DETAILED_SINCE else {}


def is_descendant(pid: int) -> bool:
    """Whether a process is this one or one of its descendants."""
    if pid == os.getpid():
        return True
    try:
        return any(parent.pid == os.getpid() for parent in psutil.Process(pid).parents())
    except (psutil.Error, ValueError):
        return False


def _from_thousandths(value: int | None) -> float | None:
    """Convert NVML's milliwatts and millijoules to watts and joules."""
    return None if value is None else value / 1000
