import csv
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bench import signals
from bench.cli import main
from bench.stages import measure, store
from tests.bench.stages import nets
from tests.limits import HANG_S

pytestmark = pytest.mark.workers

Capture = pytest.CaptureFixture[str]

PLAIN = "tests.bench.stages.nets:plain"
SIZE = 32
# No round is voided, even if the test machine is busy.
SMALL = ("--image-size", str(SIZE), "--sets", "2", "--device", "cpu", "--foreign-cpus", "100")
ROWS = ["conv", "middle", "fc", "(gap)", "(whole)"]


@pytest.fixture(autouse=True)
def _few_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "ROUNDS", 2)


def printed(capsys: Capture, *arguments: str) -> str:
    code = main(["stages", *arguments])
    out, err = capsys.readouterr()
    assert code == 0, err
    return out


def refused(capsys: Capture, *arguments: str) -> str:
    """Run an invalid request, which measures nothing, and return its single line on stderr."""
    assert main(["stages", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("googlenet-bench: ")
    assert err.count("\n") == 1
    return err


def test_every_stage_is_printed_and_written_as_a_row(tmp_path: Path, capsys: Capture) -> None:
    folder = tmp_path / "new" / "reports"
    arguments = (PLAIN, *SMALL, "--mode", "channels_last+eager", "--batch-size", "3")
    out = printed(capsys, *arguments, "--report-dir", str(folder))
    rows = list(csv.DictReader((folder / store.FILE).read_text().splitlines()))
    assert [row["stage"] for row in rows] == ROWS
    assert {row["mode"] for row in rows} == {"channels_last"}
    macs = {row["stage"]: int(row["macs"]) for row in rows}
    assert macs["conv"] == 3 * nets.conv_macs(SIZE)
    assert macs["(whole)"] == 3 * (nets.conv_macs(SIZE) + nets.FC_MACS)
    latency_s = {row["stage"]: float(row["latency_s"]) for row in rows}
    assert sum(latency_s[name] for name in ROWS[:-1]) == pytest.approx(latency_s["(whole)"])
    assert [name for name in ROWS if f" {name} " not in out] == []
    assert out.endswith(f"wrote {folder / store.FILE}\n")
    assert "batch 3" in out


def test_json_has_only_the_rows(capsys: Capture) -> None:
    rows = json.loads(printed(capsys, PLAIN, PLAIN, *SMALL, "--format", "json"))
    assert [row["stage"] for row in rows] == ROWS
    assert [row["branch"] for row in rows] == [""] * len(ROWS)
    assert rows[-1]["latency_s"] > 0


@pytest.mark.parametrize("mode", ["compile", "compile+channels_last"])
def test_compiled_modes_are_refused_with_the_reason(capsys: Capture, mode: str) -> None:
    line = refused(capsys, "googlenet", "--mode", mode)
    assert f"the time of mode '{mode}' cannot be divided among stages: Inductor fuses" in line
    assert "use eager" in line


def test_a_rewrite_that_keeps_no_modules_is_refused(capsys: Capture) -> None:
    line = refused(capsys, "googlenet", "--mode", "fold+packed")
    assert "cannot be divided among stages: it does not run a network's own modules" in line


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (("googlnet",), "did you mean 'googlenet'?"),
        (("resnet18",), "did you mean 'torchvision:resnet18'?"),
        (("googlenet", "--mode", "eagr"), "did you mean 'eager'?"),
        (("googlenet", "--dtype", "fp31"), "did you mean 'fp32'?"),
        (("googlenet", "--dtype", "fp16", "--device", "cpu"), "'fp16' does not run on cpu"),
        (("googlenet", "--device", "tpu"), "no device is called 'tpu'"),
        (("googlenet", "--device", "cuda:99"), "the NVIDIA driver shows"),
        (("googlenet", "--batch-size", "0"), "a batch holds at least one image, not 0"),
        (("googlenet", "--image-size", "0"), "--image-size must be at least 1, not 0"),
        (("googlenet", "--sets", "0"), "--sets must be at least 1, not 0"),
    ],
)
def test_an_invalid_request_exits_with_one_line(
    capsys: Capture, arguments: tuple[str, ...], part: str
) -> None:
    assert part in refused(capsys, *arguments)


def test_a_folder_that_cannot_be_created_is_refused_before_measuring(
    tmp_path: Path, capsys: Capture
) -> None:
    file = tmp_path / "file"
    file.touch()
    line = refused(capsys, PLAIN, "--device", "cpu", "--report-dir", str(file / "reports"))
    assert f"cannot write to {file / 'reports'}: Not a directory" in line


def test_too_small_images_are_refused_with_their_size(capsys: Capture) -> None:
    assert main(["stages", "googlenet", "--image-size", "30", "--device", "cpu"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines()[-1].startswith("googlenet-bench: googlenet at 30×30: ")
    assert "at least 31×31 pixels" in err


def test_the_size_and_the_nearest_name_are_hinted_at(capsys: Capture) -> None:
    made_for_48 = "tests.bench.tiny:for_images_of_48"
    assert main(["stages", made_for_48, *SMALL]) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert main(["stages", "torchvision:resnet81", *SMALL]) == 2
    assert "did you mean 'resnet" in capsys.readouterr().err.splitlines()[-1]
    assert f"{made_for_48} at 32×32: " in last
    assert "select it with --image-size or NAME@PIXELS" in last


def test_ctrl_c_keeps_the_sets_until_then() -> None:
    command = (sys.executable, "-m", "bench", "stages", PLAIN, *SMALL, "--sets=99", "--format=csv")
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "COLUMNS": "200"},
        preexec_fn=signals.restore_interrupts,
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "set 2: compiling" in line:
                process.send_signal(signal.SIGINT)
                break
        out, err = process.communicate(timeout=HANG_S)
    assert process.returncode == 1, err
    assert [row["sets"] for row in csv.DictReader(out.splitlines())] == ["1"] * len(ROWS)
    assert "the run was interrupted; the figures are from 1 of 99 sets" in err


def test_a_network_that_fails_leaves_the_others(capsys: Capture) -> None:
    assert main(["stages", PLAIN, "tests.bench.broken:is_killed", *SMALL, "--format=json"]) == 1
    out, err = capsys.readouterr()
    assert [row["stage"] for row in json.loads(out)] == ROWS
    assert "broken:is_killed at 32×32: measuring: the worker was killed by SIGKILL" in err
