"""The CPU: facts that distinguish it from other CPUs. Needs neither torch nor root."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from bench.machine.environment import Environment
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
"""The facts that ``describe`` reads. Two CPUs with the same ``cpu`` may differ in all others."""

_ROOT = Path("/")
_KIND_OF_CACHE = {"Data": "d", "Instruction": "i", "Unified": ""}
_LSCPU_LIMIT_S = 10.0  # it takes 3 ms


def describe(root: Path = _ROOT) -> Environment:
    """Return the facts in ``IDENTITY``, as far as they are known. Takes about a second.

    ``root`` is the folder that contains ``/proc`` and ``/sys``.
    """
    import cpuinfo
    import psutil

    info = cpuinfo.get_cpu_info()
    processor = _first_processor(root)
    sizes_bytes = _cache_bytes(root)
    return from_cpuinfo(info).merged(
        Environment(
            cpu=str(info.get("brand_raw") or "unknown CPU"),
            cpu_cores=psutil.cpu_count(logical=False),
            cpu_l1d_bytes=sizes_bytes.get("1d"),
            cpu_l1i_bytes=sizes_bytes.get("1i"),
            cpu_l2_bytes=sizes_bytes.get("2"),
            cpu_l3_bytes=sizes_bytes.get("3"),
            cpu_microcode=processor.get("microcode"),
            hypervisor=_hypervisor(processor, root),
        )
    )


def from_cpuinfo(info: object) -> Environment:
    """Return the facts in ``IDENTITY`` that py-cpuinfo reports reliably; ``info`` is its result.

    Run files contain this result as pytest-benchmark's ``machine_info["cpu"]``, even files from
    before ``cpu_family`` was recorded. Cache sizes are not read from it: py-cpuinfo 9 reports AMD's
    L2 as L3. It reports L1 and L2 for one core or summed over all, depending on the version of
    lscpu, and rounds sizes from 1 MiB up.
    """
    known = info if isinstance(info, Mapping) else {}
    return Environment(
        cpu_family=_integer(known.get("family")),
        cpu_model=_integer(known.get("model")),
        cpu_stepping=_integer(known.get("stepping")),
    )


def _integer(value: object) -> int | None:
    return value if isinstance(value, int) else None


def _first_processor(root: Path) -> dict[str, str]:
    """Return Linux's facts about the first processor; empty on other systems."""
    first, _, _ = (text(root / "proc/cpuinfo") or "").partition("\n\n")
    pairs = (line.partition(":") for line in first.splitlines())
    return {name.strip(): value.strip() for name, _, value in pairs}


def _cache_bytes(root: Path) -> dict[str, int]:
    """Return the size of each cache, summed over the cores, by level and kind, such as ``1d``."""
    sizes: dict[tuple[str, str], int] = {}  # each of the CPUs that share a cache lists it
    for folder in (root / "sys/devices/system/cpu").glob("cpu[0-9]*/cache/index[0-9]*"):
        level, kind, size, shared_by = (
            text(folder / name) or "" for name in ("level", "type", "size", "shared_cpu_list")
        )
        kib = size.removesuffix("K")
        if kib.isdecimal() and kind in _KIND_OF_CACHE:
            sizes[f"{level}{_KIND_OF_CACHE[kind]}", shared_by] = int(kib) * 1024
    summed: dict[str, int] = {}
    for (name, _), size_bytes in sizes.items():
        summed[name] = summed.get(name, 0) + size_bytes
    return summed


def _hypervisor(processor: Mapping[str, str], root: Path) -> str | None:
    """Return the hypervisor's name; ``none`` on bare metal; None if unknown."""
    flags = processor.get("flags")  # only x86 has them; they show whether there is one
    if flags is not None and "hypervisor" not in flags.split():
        return "none"
    named = _hypervisor_by_lscpu() or text(root / "sys/hypervisor/type")
    if named or flags is None:
        return named or None
    dmi = (text(root / "sys/class/dmi/id" / name) for name in ("sys_vendor", "product_name"))
    return " ".join(filter(None, dmi)) or None


def _hypervisor_by_lscpu() -> str | None:
    """Return the vendor that the CPU reports, from lscpu; None if there is none, or no lscpu."""
    try:
        shown = subprocess.run(
            ["lscpu"],  # noqa: S607 - found in the PATH
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
