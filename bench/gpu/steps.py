"""The steps that a GPU is worth, in order of what would be missed most."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from bench.cells.dtypes import DTYPES
from bench.gpu.step import GpuStep
from bench.suite.profiles import REFERENCE_ARCH

NETWORKS = ("googlenet", REFERENCE_ARCH)
PRECISIONS = ("fp32", "tf32", "bf16")
TESTS, SUITE = "tests", "bench/suite"
# The machine's libraries are not ours to choose: their warnings go to the log, and end nothing.
PYTEST = ("-m", "pytest", "-p", "no:cacheprovider", "-W", "default")
MARK = "pytest.mark.gpu"
# What nothing but a GPU shows of what is measured; of what comes last some may be cut off.
FIRST = ("test_subject.py", "test_captured.py")


def steps(device: str, folder: Path) -> Mapping[str, GpuStep]:
    """Every step by its name; reports go to ``folder``, a sweep's and energy's to folders in it."""
    return MappingProxyType({step.name: step for step in _steps(device, folder)})


def _steps(device: str, folder: Path) -> tuple[GpuStep, ...]:
    kind = device.partition(":")[0]
    dtypes = [name for name in PRECISIONS if kind in DTYPES[name].devices]
    suite = (*PYTEST, SUITE, f"--device={device}")
    energy = "--energy" if kind == "cuda" else "--no-energy"
    return (
        GpuStep(
            name="tests",
            what="the tests that need a GPU",
            arguments=(*PYTEST, *with_gpu_tests(Path(TESTS)), "-m", "gpu", "--durations=0"),
            limit_s=190.0,
        ),
        GpuStep(
            name="compile",
            what="code of the bf16 networks for what follows, all of it at once",
            arguments=("-m", "bench.gpu.compiling", f"--device={device}"),
            limit_s=90.0,
        ),
        GpuStep(
            name="default",
            what="the default profile in each precision, with its controls and ceilings",
            arguments=(
                *(*suite, "--profile=default", f"--dtypes={','.join(dtypes)}"),
                # A set is 96 workers, whose start and end take as long as 3 rounds: a set more
                # tells more than rounds do. 2.5 s a cell and set is energy: a step of its own.
                *("--rounds=3", "--no-energy", f"--report-dir={folder}"),
            ),
            limit_s=490.0,
            besides_s=130.0,  # imports and counting, three ceilings, the last wave, the reports
            report="report.md",
        ),
        GpuStep(
            name="clocks",
            what="our clocks beside others'",
            arguments=(
                *("-m", "bench.selfcheck", "--parts=bias", f"--device={device}"),
                f"--report-dir={folder}",
            ),
            limit_s=100.0,
            report="selfcheck.md",
        ),
        GpuStep(
            name="sweep",
            what="throughput from batch 1 to where it is saturated",
            arguments=(
                *(*suite, "--profile=sweep", "--modes=eager,compile", "--dtypes=bf16"),
                *("--rounds=3", "--no-ceiling", f"--report-dir={folder / 'sweep'}"),
            ),
            limit_s=100.0,
            besides_s=32.0,
            report="sweep/report.md",
        ),
        GpuStep(
            name="stages",
            what="where the time goes inside the networks",
            arguments=(
                *("-m", "bench", "stages", *NETWORKS, f"--device={device}"),
                f"--report-dir={folder}",
            ),
            limit_s=80.0,
            report="stages.csv",
        ),
        GpuStep(
            name="reports",
            what="the reports again, with the stages in them",
            arguments=("-m", "bench", "report", str(folder / "run.json")),
            limit_s=30.0,
        ),
        GpuStep(
            name="energy",
            what="what an image takes at the throughput batch",
            arguments=(
                *(*suite, f"--archs={','.join(NETWORKS)}", "--modes=eager,compile"),
                *("--dtypes=bf16,fp32", "--batch-sizes=128", "--sets=1", "--rounds=1"),
                *("--precision=1", energy, "--no-ceiling"),
                f"--report-dir={folder / 'energy'}",
            ),
            limit_s=75.0,
            besides_s=30.0,
            report="energy/report.md",
        ),
    )


def with_gpu_tests(folder: Path) -> tuple[str, ...]:
    """The files that have tests for a GPU, those that matter most first; or else the folder.

    No other is imported: a browser's, say, would need what the machine has no other use for, and
    one file that cannot be imported ends them all.
    """
    files = sorted(folder.rglob("test_*.py"), key=lambda one: (one.name not in FIRST, one))
    return tuple(str(one) for one in files if f"@{MARK}" in one.read_text()) or (str(folder),)
