"""The CPU: what tells one machine's from another's. Read without torch and without root."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.machine.system_files import text

IDENTITY = (
    "cpu",
    "cpu_family",
    "cpu_model",
    "cpu_stepping",
    "cpu_cores",
    "cpu_l1d_bytes",
    "cpu_l1i_bytes",
    "cpu_l2_bytes",
    "cpu_l3_bytes",
    "cpu_microcode",
    "hypervisor",
)
"""The facts that ``describe`` tells; two CPUs of one brand may differ in every other one."""

_ROOT = Path("/")
_KIND_OF_CACHE = {"Data": "d", "Instruction": "i", "Unified": ""}
_LSCPU_LIMIT_S = 10.0  # it takes 3 ms


def describe(root: Path = _ROOT) -> dict[str, Any]:
    """The facts of ``IDENTITY``; None for what the system does not tell. Takes about a second.

    ``root`` is the folder that ``/proc`` and ``/sys`` are in.
    """
    import cpuinfo
    import psutil

    info = cpuinfo.get_cpu_info()
    processor = _first_processor(root)
    found = {
        "cpu": str(info.get("brand_raw") or "unknown CPU"),
        **from_cpuinfo(info),
        "cpu_cores": psutil.cpu_count(logical=False),
        **_cache_bytes(root),
        "cpu_microcode": processor.get("microcode"),
        "hypervisor": _hypervisor(processor, root),
    }
    return {name: found.get(name) for name in IDENTITY}


def from_cpuinfo(info: object) -> dict[str, Any]:
    """The facts of ``IDENTITY`` that py-cpuinfo tells reliably; ``info`` is its answer.

    Run files have this answer as pytest-benchmark's ``machine_info["cpu"]``, those before
    ``cpu_family`` was recorded too. Cache sizes are not taken from it: py-cpuinfo 9 gives AMD's L2
    as L3, and L1 and L2 as one core's or as the sum of all cores, depending on the version of
    lscpu, rounded from 1 MiB up.
    """
    told = info if isinstance(info, Mapping) else {}
    return {f"cpu_{name}": _whole(told.get(name)) for name in ("family", "model", "stepping")}


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) else None


def _first_processor(root: Path) -> dict[str, str]:
    """What Linux says of the first processor; empty on other systems."""
    first, _, _ = (text(root / "proc/cpuinfo") or "").partition("\n\n")
    pairs = (line.partition(":") for line in first.splitlines())
    return {name.strip(): value.strip() for name, _, value in pairs}


def _cache_bytes(root: Path) -> dict[str, int]:
    """The size of each cache, summed over the cores, by its name in ``IDENTITY``."""
    sizes: dict[tuple[str, str], int] = {}  # CPUs that share a cache all list it
    for folder in (root / "sys/devices/system/cpu").glob("cpu[0-9]*/cache/index[0-9]*"):
        level, kind, size, shared_by = (
            text(folder / name) or "" for name in ("level", "type", "size", "shared_cpu_list")
        )
        kib = size.removesuffix("K")
        if kib.isdecimal() and kind in _KIND_OF_CACHE:
            name = f"cpu_l{level}{_KIND_OF_CACHE[kind]}_bytes"
            sizes[name, shared_by] = int(kib) * 1024
    summed: dict[str, int] = {}
    for (name, _), size_bytes in sizes.items():
        summed[name] = summed.get(name, 0) + size_bytes
    return summed


def _hypervisor(processor: Mapping[str, str], root: Path) -> str | None:
    """The hypervisor's name; ``none`` on bare metal; None where that is unknown."""
    flags = processor.get("flags")  # x86 has them, and says in them whether there is one
    if flags is not None and "hypervisor" not in flags.split():
        return "none"
    named = _hypervisor_by_lscpu() or text(root / "sys/hypervisor/type")
    if named or flags is None:
        return named or None
    dmi = (text(root / "sys/class/dmi/id" / name) for name in ("sys_vendor", "product_name"))
    return " ".join(filter(None, dmi)) or None


def _hypervisor_by_lscpu() -> str | None:
    """The vendor that the CPU itself names, as lscpu shows it; None without one, or lscpu."""
    try:
        shown = subprocess.run(
            ["lscpu"],  # noqa: S607 - wherever the system has it
            capture_output=True,
            check=True,
            text=True,
            timeout=_LSCPU_LIMIT_S,
            env={**os.environ, "LC_ALL": "C"},
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    pairs = (line.partition(":") for line in shown.splitlines())
    return next((value.strip() for name, _, value in pairs if name == "Hypervisor vendor"), None)
