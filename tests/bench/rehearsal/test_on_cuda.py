"""End-to-end tests of CUDA-only code on simulated GPUs, from options to reports."""

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from bench import stats
from bench.launch.launchers import Spawner
from bench.machine import pinned
from bench.records import store
from bench.records.record import RunRecord
from bench.stages import store as stages_store
from bench.stages.vocabulary import GAP, WHOLE
from bench.studies.selfcheck import bias
from tests.bench import rehearsal, runs
from tests.bench.rehearsal import cuda
from tests.bench.rehearsal.nvml import POWER_W
from tests.limits import HANG_S

pytestmark = [pytest.mark.workers, pytest.mark.slow]

NET = "tests.bench.tiny:net"
IMAGE_BYTES = 3 * 224 * 224 * 4
# No round is voided, even if the test machine is busy.
SUITE = ("-m", "pytest", "bench/suite", "-p", "no:cacheprovider", "--foreign-cpus=100")
SHORT = (f"--archs={NET}", "--sets=2", "--rounds=2", "--precision=1", "--no-ceiling")

Ended = subprocess.CompletedProcess[str]


def rehearse(*command: str, devices: int = 1, speed: float = 1.0) -> Ended:
    return subprocess.run(
        [sys.executable, *command],
        cwd=rehearsal.ROOT,
        env=rehearsal.environment(devices=devices, speed=speed),
        capture_output=True,
        text=True,
        check=False,
        timeout=HANG_S,
    )


def suite(folder: Path, *options: str, devices: int = 1, speed: float = 1.0) -> Ended:
    folder_option = f"--report-dir={folder}"
    return rehearse(*SUITE, *SHORT, folder_option, *options, devices=devices, speed=speed)


def run_in(folder: Path) -> RunRecord:
    return store.read(folder / "run.json")


@pytest.mark.parametrize(("speed", "waits"), [(4.0, True), (0.25, False)])
def test_every_mode_has_both_clocks_and_shows_whether_the_device_waits(
    speed: float, waits: bool, tmp_path: Path
) -> None:
    modes = "--modes=eager,channels_last,compile,cudagraphs,reduce-overhead"
    ended = suite(tmp_path, modes, "--dtypes=tf32", "--batch-sizes=8", "--no-energy", speed=speed)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    run = run_in(tmp_path)
    assert len(run.cells) == 5
    for record in run.cells:
        assert record.setups[0].tf32_convolutions is True
        assert record.setups[0].batches == cuda.L2_BYTES // (8 * IMAGE_BYTES) + 1
        for visit in record.visits:
            assert len(visit.device_s) == len(visit.host_s)
            assert visit.back_to_back is not None
        share = stats.busy_share(record).estimate
        assert share < 0.6 if waits else share > 0.6
        # Inductor skips the graph, because the tensors are on the CPU, and records it.
        skips = record.setups[0].cudagraph_skips
        assert skips == ("reduce-overhead" in record.cell.mode)
    page = (tmp_path / "report.md").read_text()
    assert page.startswith(f"# 1 network × 5 modes on {rehearsal.NAME}\n")
    assert "| device p50 ms |" in re.sub(" +", " ", page)


def test_sets_alternate_between_devices_and_sharing_must_be_allowed(tmp_path: Path) -> None:
    options = ("--device=cuda:all", "--modes=eager", "--dtypes=bf16", "--batch-sizes=2")
    refused = suite(tmp_path / "refused", *options, devices=2)
    assert refused.returncode == 2
    assert "cuda:1 is used by others: process 4242" in refused.stdout + refused.stderr
    assert not (tmp_path / "refused").exists()
    ended = suite(tmp_path, *options, "--allow-shared", devices=2)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    (record,) = run_in(tmp_path).cells
    assert [setup.device for setup in record.setups] == ["cuda:0", "cuda:1"]
    assert "process 4242" in (tmp_path / "report.md").read_text()


def test_the_energy_per_image_is_power_times_time(tmp_path: Path) -> None:
    ended = suite(
        tmp_path, "--modes=eager", "--dtypes=fp32", "--batch-sizes=2", "--sets=1", "--energy"
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    (setup,) = run_in(tmp_path).cells[0].setups
    assert setup.energy_j is not None
    assert setup.energy_images is not None
    assert setup.energy_wall_s is not None
    assert setup.energy_j == pytest.approx(POWER_W * setup.energy_wall_s, rel=0.5)
    summary = pd.read_csv(tmp_path / "summary.csv")
    expected = setup.energy_j / setup.energy_images
    assert summary["energy_per_image_j"][0] == pytest.approx(expected)


def test_fit_finds_the_largest_batch_that_fits_on_the_device(tmp_path: Path) -> None:
    options = ("--modes=eager", "--dtypes=fp32", "--batch-sizes=2", "--sets=1", "--rounds=1")
    ended = suite(tmp_path, *options, "--no-energy", "--fit")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    (fit,) = run_in(tmp_path).fits
    limit = cuda.LARGEST_BYTES // IMAGE_BYTES
    assert fit.largest is not None
    assert fit.smallest_failed is not None
    assert fit.largest.batch_size <= limit < fit.smallest_failed.batch_size
    assert "out of memory: tried to allocate" in fit.smallest_failed.reason


def test_training_steps_run(tmp_path: Path) -> None:
    options = ("--tasks=train", "--modes=eager,reduce-overhead", "--dtypes=bf16", "--batch-sizes=2")
    ended = suite(tmp_path, *options, "--no-energy", "--sets=1", "--rounds=1")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert [record.setups[0].gradient_error is not None for record in run_in(tmp_path).cells] == [
        True,
        True,
    ]


def test_stage_times_include_the_device_s_work(tmp_path: Path) -> None:
    ended = rehearse(
        *("-m", "bench", "stages", "googlenet", "--device=cuda", f"--report-dir={tmp_path}"),
        "--foreign-cpus=100",
        speed=0.25,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    stages = stages_store.read(tmp_path / stages_store.FILE)
    assert set(stages["device"]) == {"cuda"}
    # The device takes four times as long as the host; without waiting, no stage would include it.
    (total_s,) = stages[stages["stage"] == WHOLE].latency_s
    parts = stages[~stages["stage"].isin([WHOLE, GAP]) & (stages["branch"] == "")]
    assert parts.latency_s.sum() > total_s / 2


def test_device_times_agree_with_do_bench(monkeypatch: pytest.MonkeyPatch) -> None:
    # Nine pairs, because under other load a single disturbed pair of three would decide.
    monkeypatch.setattr(bias, "PAIRS_ON_CUDA", 9)
    monkeypatch.setattr(bias, "BLOCK_ON_CUDA_S", 0.02)
    variables = pinned.for_workers(rehearsal.environment(speed=0.5))
    launcher = Spawner(variables, module="bench.studies.selfcheck.worker")
    cell = replace(runs.EAGER, arch=NET, device="cuda", batch_size=2)
    (result,) = bias.measure([cell], launcher, seed=0)
    assert result.on_device is not None
    assert result.on_device.ratio.sets == 9
    # If a clock did not wait for the device, which is half as fast, ratios would be at most 0.5.
    assert 0.6 < result.on_device.ratio.estimate < 1.6
    assert 0.6 < result.ratio.estimate < 1.6
