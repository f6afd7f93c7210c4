from pathlib import Path
from typing import Any

import pytest

from bench.machine import cpu
from bench.machine.environment import Environment
from bench.units import MIB

KIB = 1024
X86 = """processor\t: 0
cpu family\t: 25
model\t\t: 17
microcode\t: 0x1000065
flags\t\t: fpu sse2 {flag}

processor\t: 1
microcode\t: 0xffffffff
flags\t\t: fpu
"""
VIRTUAL, BARE = X86.format(flag="hypervisor avx2"), X86.format(flag="avx2")
ARM = "processor\t: 0\nFeatures\t: fp asimd\nCPU part\t: 0xd40\n"
TYPES = {"l1d": ("1", "Data"), "l1i": ("1", "Instruction"), "l2": ("2", "Unified")}


@pytest.fixture(autouse=True)
def no_lscpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty folder that is the only one on the PATH."""
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return tmp_path / "bin"


@pytest.fixture(autouse=True)
def cpuinfo(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Return the result of py-cpuinfo; psutil reports 2 cores."""
    info: dict[str, Any] = {"brand_raw": "AMD EPYC", "family": 25, "model": 17, "stepping": 0}
    monkeypatch.setattr("cpuinfo.get_cpu_info", lambda: info)
    monkeypatch.setattr("psutil.cpu_count", lambda *, logical: None if logical else 2)
    return info


def write(root: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
    return root


def cache(root: Path, number: int, index: int, name: str, size: str, shared_by: str) -> None:
    level, kind = TYPES.get(name, (name.removeprefix("l"), "Unified"))
    folder = f"sys/devices/system/cpu/cpu{number}/cache/index{index}"
    facts = {"level": level, "type": kind, "size": size, "shared_cpu_list": shared_by}
    write(root, {f"{folder}/{fact}": f"{value}\n" for fact, value in facts.items()})


def lscpu(folder: Path, script: str) -> None:
    (folder / "lscpu").write_text(f"#!/bin/sh\n{script}\n")
    (folder / "lscpu").chmod(0o755)


def test_description_has_family_model_stepping_cores_and_microcode(
    tmp_path: Path,
) -> None:
    about = cpu.describe(write(tmp_path, {"proc/cpuinfo": VIRTUAL}))
    assert set(about.known) <= set(cpu.IDENTITY)
    names = ("cpu", "cpu_family", "cpu_model", "cpu_stepping", "cpu_cores", "cpu_microcode")
    assert [getattr(about, name) for name in names] == ["AMD EPYC", 25, 17, 0, 2, "0x1000065"]


def test_cache_sizes_are_summed_and_a_shared_cache_counts_once(
    tmp_path: Path,
) -> None:
    # Two cores with two hyper-threads each: CPUs 0 and 2, 1 and 3.
    for number in range(4):
        core = f"{number % 2},{number % 2 + 2}"
        cache(tmp_path, number, 0, "l1d", "48K", core)
        cache(tmp_path, number, 1, "l1i", "32K", core)
        cache(tmp_path, number, 2, "l2", "1024K", core)
        cache(tmp_path, number, 3, "l3", "32768K", "0-3")
    about = cpu.describe(tmp_path)
    sizes = [getattr(about, f"cpu_{name}_bytes") for name in ("l1d", "l1i", "l2", "l3")]
    assert sizes == [2 * 48 * KIB, 2 * 32 * KIB, 2 * MIB, 32 * MIB]


def test_cache_sizes_of_different_cores_are_summed(tmp_path: Path) -> None:
    cache(tmp_path, 0, 0, "l1d", "48K", "0")
    cache(tmp_path, 1, 0, "l1d", "32K", "1")
    about = cpu.describe(tmp_path)
    assert about.cpu_l1d_bytes == (48 + 32) * KIB
    assert about.cpu_l3_bytes is None


def test_cache_without_a_size_is_unknown(tmp_path: Path) -> None:
    cache(tmp_path, 0, 0, "l1d", "", "0")
    assert cpu.describe(tmp_path).cpu_l1d_bytes is None


def test_without_proc_and_sys_only_the_library_facts_are_known(
    tmp_path: Path, cpuinfo: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    cpuinfo.clear()  # the result of py-cpuinfo if it finds nothing
    monkeypatch.setattr("psutil.cpu_count", lambda *, logical: None)  # noqa: ARG005 - the name in psutil
    assert cpu.describe(tmp_path) == Environment(cpu="unknown CPU")
    cpuinfo |= {"brand_raw": "Apple M4"}
    assert cpu.describe(tmp_path) == Environment(cpu="Apple M4")


@pytest.mark.parametrize(
    ("proc", "files", "expected"),
    [
        (BARE, {}, "none"),
        (BARE, {"sys/class/dmi/id/sys_vendor": "Dell Inc.\n"}, "none"),
        (VIRTUAL, {"sys/hypervisor/type": "xen\n"}, "xen"),
        (
            VIRTUAL,
            {
                "sys/class/dmi/id/sys_vendor": "Amazon EC2\n",
                "sys/class/dmi/id/product_name": "c7a.large\n",
            },
            "Amazon EC2 c7a.large",
        ),
        (VIRTUAL, {"sys/class/dmi/id/sys_vendor": "QEMU\n"}, "QEMU"),
        (VIRTUAL, {}, None),  # a hypervisor without a name
        (ARM, {"sys/class/dmi/id/sys_vendor": "Dell Inc.\n"}, None),  # ARM has no such flag
    ],
)
def test_hypervisor_is_found_without_lscpu(
    tmp_path: Path, proc: str, files: dict[str, str], expected: str | None
) -> None:
    root = write(tmp_path, {"proc/cpuinfo": proc, **files})
    assert cpu.describe(root).hypervisor == expected


def test_hypervisor_is_read_from_lscpu_in_english(
    tmp_path: Path, no_lscpu: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    lscpu(no_lscpu, '[ "$LC_ALL" = C ] && echo "Model name: x" && echo "Hypervisor vendor:    KVM"')
    dmi = {"sys/class/dmi/id/sys_vendor": "QEMU"}
    root = write(tmp_path, {"proc/cpuinfo": VIRTUAL, **dmi})
    assert cpu.describe(root).hypervisor == "KVM"


@pytest.mark.parametrize("script", ["exit 1", "echo 'Model name: x'"])
def test_lscpu_that_fails_or_does_not_know_is_ignored(
    tmp_path: Path, no_lscpu: Path, script: str
) -> None:
    lscpu(no_lscpu, script)
    assert cpu.describe(write(tmp_path, {"proc/cpuinfo": VIRTUAL})).hypervisor is None


@pytest.mark.parametrize("info", [None, "text", {}, {"family": "25", "model": None}])
def test_invalid_result_of_py_cpuinfo_gives_no_facts(info: object) -> None:
    assert cpu.from_cpuinfo(info) == Environment()
