"""What is done on CUDA alone, from its options to its reports, on GPUs that are played."""

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from bench import stats
from bench.engine.launch import Spawner
from bench.machine import environment
from bench.records import store
from bench.records.record import RunRecord
from bench.selfcheck import bias
from bench.stages import store as stages_store
from bench.stages.vocabulary import GAP, WHOLE
from tests.bench import rehearsal, runs
from tests.bench.rehearsal import cuda
from tests.bench.rehearsal.nvml import POWER_W

NET = "tests.bench.tiny:net"
IMAGE_BYTES = 3 * 224 * 224 * 4
# Nothing is voided, however busy the machine that tests run on.
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
        timeout=300,
    )


def suite(folder: Path, *options: str, devices: int = 1, speed: float = 1.0) -> Ended:
    folder_option = f"--report-dir={folder}"
    return rehearse(*SUITE, *SHORT, folder_option, *options, devices=devices, speed=speed)


def run_in(folder: Path) -> RunRecord:
    return store.read(folder / "run.json")


@pytest.mark.parametrize(("speed", "waits"), [(4.0, True), (0.25, False)])
def test_every_mode_has_both_clocks_and_whether_the_device_waits(
    speed: float, waits: bool, tmp_path: Path
) -> None:
    modes = "--modes=eager,channels_last,compile,cudagraphs,reduce-overhead"
    ended = suite(tmp_path, modes, "--dtypes=tf32", "--batch-sizes=8", "--no-energy", speed=speed)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    run = run_in(tmp_path)
    assert len(run.cells) == 5
    for record in run.cells:
        assert record.setups[0]["tf32_convolutions"] is True
        assert record.setups[0]["batches"] == cuda.L2_BYTES // (8 * IMAGE_BYTES) + 1
        for visit in record.visits:
            assert len(visit.device_s) == len(visit.host_s)
            assert visit.back_to_back is not None
        share = stats.busy_share(record).estimate
        assert share < 0.6 if waits else share > 0.6
        # Inductor replays no graph of tensors that are the CPU's after all, and says so.
        skips = record.setups[0]["cudagraph_skips"]
        assert skips == ("reduce-overhead" in record.cell.mode)
    page = (tmp_path / "report.md").read_text()
    assert page.startswith(f"# {rehearsal.NAME}, ")
    assert "| device p50 ms |" in re.sub(" +", " ", page)


def test_sets_are_dealt_to_all_devices_beside_those_who_may_be_there(tmp_path: Path) -> None:
    few = ("--device=cuda:all", "--modes=eager", "--dtypes=bf16", "--batch-sizes=2")
    refused = suite(tmp_path / "refused", *few, devices=2)
    assert refused.returncode == 2
    assert "cuda:1 is used by others: process 4242" in refused.stdout + refused.stderr
    assert not (tmp_path / "refused").exists()
    ended = suite(tmp_path, *few, "--allow-shared", devices=2)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    (record,) = run_in(tmp_path).cells
    assert [setup["device"] for setup in record.setups] == ["cuda:0", "cuda:1"]
    assert "process 4242" in (tmp_path / "report.md").read_text()


def test_what_an_image_takes_is_the_card_s_power_for_its_time(tmp_path: Path) -> None:
    ended = suite(
        tmp_path, "--modes=eager", "--dtypes=fp32", "--batch-sizes=2", "--sets=1", "--energy"
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    (setup,) = run_in(tmp_path).cells[0].setups
    assert setup["energy_j"] == pytest.approx(POWER_W * setup["energy_wall_s"], rel=0.5)
    summary = pd.read_csv(tmp_path / "summary.csv")
    expected = setup["energy_j"] / setup["energy_images"]
    assert summary["energy_per_image_j"][0] == pytest.approx(expected)


def test_the_largest_batch_is_the_last_that_the_device_holds(tmp_path: Path) -> None:
    few = ("--modes=eager", "--dtypes=fp32", "--batch-sizes=2", "--sets=1", "--rounds=1")
    ended = suite(tmp_path, *few, "--no-energy", "--fit")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    (fit,) = run_in(tmp_path).fits
    most = cuda.LARGEST_BYTES // IMAGE_BYTES
    assert fit.largest is not None
    assert fit.smallest_failed is not None
    assert fit.largest.batch_size <= most < fit.smallest_failed.batch_size
    assert "MiB more were asked for" in fit.smallest_failed.reason


def test_a_step_trains(tmp_path: Path) -> None:
    few = ("--tasks=train", "--modes=eager,reduce-overhead", "--dtypes=bf16", "--batch-sizes=2")
    ended = suite(tmp_path, *few, "--no-energy", "--sets=1", "--rounds=1")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert [
        record.setups[0]["gradient_error"] is not None for record in run_in(tmp_path).cells
    ] == [
        True,
        True,
    ]


def test_stages_are_timed_to_the_end_of_their_work(tmp_path: Path) -> None:
    ended = rehearse(
        *("-m", "bench", "stages", "googlenet", "--device=cuda", f"--report-dir={tmp_path}"),
        speed=0.25,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    stages = stages_store.read(tmp_path / stages_store.FILE)
    assert set(stages["device"]) == {"cuda"}
    # Not waited for, the device's four times as long would be in none of them.
    (whole,) = stages[stages["stage"] == WHOLE].latency_s
    parts = stages[~stages["stage"].isin([WHOLE, GAP]) & (stages["branch"] == "")]
    assert parts.latency_s.sum() > whole / 2


def test_our_events_stand_beside_do_bench_s(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bias, "PAIRS_ON_CUDA", 9)  # beside other load, one of three pairs decides
    monkeypatch.setattr(bias, "BLOCK_ON_CUDA_S", 0.02)
    variables = environment.for_workers(rehearsal.environment(speed=0.5))
    launcher = Spawner(variables, module="bench.selfcheck.worker")
    cell = replace(runs.EAGER, arch=NET, device="cuda", batch_size=2)
    (found,) = bias.measure([cell], launcher, seed=0)
    assert found.on_device is not None
    assert found.on_device.ratio.sets == 9
    # Of clocks that do not wait for a device half as fast, ratios would be 0.5 or less.
    assert 0.6 < found.on_device.ratio.estimate < 1.6
    assert 0.6 < found.ratio.estimate < 1.6
