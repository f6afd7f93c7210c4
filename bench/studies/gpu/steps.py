"""The steps of a GPU run, the most important first."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from bench.api.profiles import REFERENCE_ARCH
from bench.cells.dtypes import DTYPES
from bench.studies.gpu.step import GpuStep

NETWORKS = ("googlenet", REFERENCE_ARCH)
PRECISIONS = ("fp32", "tf32", "bf16")
TESTS, SUITE = "tests", "bench/suite"
# The machine's library versions vary, so their warnings go to the log and are not errors.
PYTEST = ("-m", "pytest", "-p", "no:cacheprovider", "-W", "default")
MARK = "pytest.mark.gpu"
# Tests of the measuring code that only a GPU can run. They come first, because the time limit may
# cut off the last ones.
FIRST = ("test_subject.py", "test_cudagraphs.py")


def steps(device: str, folder: Path) -> Mapping[str, GpuStep]:
    """Return the steps by name; their reports go to ``folder`` and to subfolders of it."""
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
            arguments=(*PYTEST, *gpu_test_files(Path(TESTS)), "-m", "gpu", "--durations=0"),
            limit_s=190.0,
        ),
        GpuStep(
            name="compile",
            what="code of the bf16 networks for the later steps, compiled in parallel",
            arguments=("-m", "bench.studies.gpu.compiling", f"--device={device}"),
            limit_s=90.0,
        ),
        GpuStep(
            name="default",
            what="the default profile in each precision, with controls and ceilings",
            arguments=(
                *(*suite, "--profile=default", f"--dtypes={','.join(dtypes)}"),
                # A set has 96 workers, whose start and end take as long as 3 rounds, so more sets
                # give more precision than more rounds. Energy takes 2.5 s per cell and set, so it
                # is a separate step.
                *("--rounds=3", "--no-energy", f"--report-dir={folder}"),
            ),
            limit_s=490.0,
            overhead_s=130.0,  # imports and counting, three ceilings, the last wave, the reports
            report="report.md",
        ),
        GpuStep(
            name="clocks",
            what="our clocks compared with those of other tools",
            arguments=(
                *("-m", "bench.studies.selfcheck", "--parts=bias", f"--device={device}"),
                f"--report-dir={folder}",
            ),
            limit_s=100.0,
            report="selfcheck.md",
        ),
        GpuStep(
            name="sweep",
            what="throughput from batch 1 to saturation",
            arguments=(
                *(*suite, "--profile=sweep", "--modes=eager,compile", "--dtypes=bf16"),
                *("--rounds=3", "--no-ceiling", f"--report-dir={folder / 'sweep'}"),
            ),
            limit_s=100.0,
            overhead_s=32.0,
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
            what="the reports again, with the stages",
            arguments=("-m", "bench", "report", str(folder / "run.json")),
            limit_s=30.0,
        ),
        GpuStep(
            name="energy",
            what="energy per image at the throughput batch",
            arguments=(
                *(*suite, f"--archs={','.join(NETWORKS)}", "--modes=eager,compile"),
                *("--dtypes=bf16,fp32", "--batch-sizes=128", "--sets=1", "--rounds=1"),
                *("--precision=1", energy, "--no-ceiling"),
                f"--report-dir={folder / 'energy'}",
            ),
            limit_s=75.0,
            overhead_s=30.0,
            report="energy/report.md",
        ),
    )


def gpu_test_files(folder: Path) -> tuple[str, ...]:
    """Return the files with tests that need a GPU, the most important first, or else the folder.

    Other files are left out so that pytest does not import them: a browser's tests, for example,
    need libraries that the machine may lack, and one failed import stops the whole session.
    """
    files = sorted(folder.rglob("test_*.py"), key=lambda path: (path.name not in FIRST, path))
    return tuple(str(path) for path in files if f"@{MARK}" in path.read_text()) or (str(folder),)
