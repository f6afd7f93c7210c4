"""The steps that a GPU is worth, in order of what would be missed most."""

from pathlib import Path

from bench.dtypes import DTYPES
from bench.gpu.step import Step
from bench.suite.profiles import REFERENCE_ARCH

NETWORKS = ("googlenet", REFERENCE_ARCH)
PRECISIONS = ("fp32", "tf32", "bf16")
TESTS, SUITE = "tests", "bench/suite"
PYTEST = ("-m", "pytest", "-p", "no:cacheprovider")


def steps(device: str, folder: Path) -> tuple[Step, ...]:
    """Every step; reports go to ``folder``, a sweep's and energy's to folders in it."""
    kind = device.partition(":")[0]
    dtypes = ",".join(name for name in PRECISIONS if kind in DTYPES[name].devices)
    suite = (*PYTEST, SUITE, f"--device={device}")
    energy = "--energy" if kind == "cuda" else "--no-energy"
    return (
        Step(
            name="tests",
            what="the tests that need a GPU",
            arguments=(*PYTEST, TESTS, "-m", "gpu"),
            limit_s=200.0,
        ),
        Step(
            name="default",
            what="the default profile in each precision, with its controls and ceilings",
            arguments=(
                *(*suite, "--profile=default", f"--dtypes={dtypes}"),
                # 2.5 s a cell and set: a step of its own has fewer.
                *("--no-energy", "--budget=330", f"--report-dir={folder}"),
            ),
            limit_s=480.0,
        ),
        Step(
            name="sweep",
            what="throughput from batch 1 to where it is saturated",
            arguments=(
                *(*suite, "--profile=sweep", "--modes=eager,compile", "--dtypes=bf16"),
                *("--no-ceiling", "--budget=110", f"--report-dir={folder / 'sweep'}"),
            ),
            limit_s=170.0,
        ),
        Step(
            name="energy",
            what="what an image takes at the throughput batch",
            arguments=(
                *(*suite, f"--archs={','.join(NETWORKS)}", "--modes=eager,compile"),
                *(f"--dtypes={dtypes}", "--batch-sizes=128", "--sets=1", "--precision=1e9", energy),
                *("--no-ceiling", "--budget=60", f"--report-dir={folder / 'energy'}"),
            ),
            limit_s=90.0,
        ),
        Step(
            name="stages",
            what="where the time goes inside the networks",
            arguments=(
                *("-m", "bench", "stages", *NETWORKS, f"--device={device}"),
                f"--report-dir={folder}",
            ),
            limit_s=80.0,
        ),
        Step(
            name="clocks",
            what="our clocks beside others'",
            arguments=(
                *("-m", "bench.selfcheck", "--parts=bias", f"--device={device}"),
                f"--report-dir={folder}",
            ),
            limit_s=90.0,
        ),
        Step(
            name="reports",
            what="the reports again, with the stages in them",
            arguments=("-m", "bench", "report", str(folder / "run.json")),
            limit_s=40.0,
        ),
    )
