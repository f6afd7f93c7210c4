import csv
import io
import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import bench
from bench.cells import modes
from bench.cli import main, parser
from bench.gate import files
from bench.records import store
from googlenet.variants import VARIANTS
from tests.bench import cases, factories, runs
from tests.bench.gate import gates
from tests.bench.report import fronts, rungs
from tests.limits import HANG_S

TINY = "tests.bench.factories:tiny"
# tests/bench/factories.py at 224×224: a 7×7/4 convolution 3 → 8, and 1000 classes.
TINY_CONV_MACS = 7 * 7 * 3 * 8 * 56**2
TINY_FC_MACS = 8 * 1000

Capture = pytest.CaptureFixture[str]


def printed(capsys: Capture, *arguments: str) -> str:
    code = main(arguments)
    out, err = capsys.readouterr()
    assert err == ""
    assert code == 0
    return out


def refused(capsys: Capture, *arguments: str) -> str:
    """Run an invalid request and return its single line on stderr."""
    code = main(arguments)
    out, err = capsys.readouterr()
    assert code == 2
    assert out == ""
    assert err.startswith("googlenet-bench: ")
    assert err.count("\n") == 1
    assert err.endswith("\n")
    assert "Traceback" not in err
    return err


def from_csv(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def from_markdown(text: str) -> list[list[str]]:
    """Return the rows of a Markdown table without escapes, the heading first."""
    lines = text.strip().splitlines()
    assert re.fullmatch(r"[|:-]+", lines[1])
    return [
        [re.sub(r"\\(.)", r"\1", cell.strip()) for cell in line.strip("|").split("|")]
        for line in (lines[0], *lines[2:])
    ]


def test_cost_of_torchvision_as_json(capsys: Capture) -> None:
    (row,) = json.loads(printed(capsys, "cost", "torchvision", "--format", "json"))
    # docs/facts.md, "Counts".
    expected = {
        "arch": "torchvision",
        "image_size": 224,
        "batch_size": 1,
        "params": 6_624_904,
        "params_with_aux": 13_004_888,
        "macs": 1_498_376_192,
        "flops": 2_996_752_384,
        "fvcore_total": 1_504_878_688,
    }
    assert {name: row[name] for name in expected} == expected
    assert row["fvcore_remark"] == "without 13 × aten::max_pool2d"  # docs/facts.md
    assert not row["macs_is_lower_bound"]
    assert {name for name, value in row.items() if value is None} == {
        *("uncounted", "macs_on_other_images", "macs_in_the_next_call", "fvcore_disagreements")
    }


def test_uncounted_operators_are_shown_with_the_counts(
    capfd: pytest.CaptureFixture[str],
) -> None:
    archs = ("tests.bench.factories:distances", "tests.bench.cases:MatmulLeft")
    sizes = ("--image-size", str(cases.IMAGE_SIZE))
    assert main(["cost", *archs, *sizes, "--format", "json"]) == 0
    distances, matmul = json.loads(capfd.readouterr().out)
    assert distances["macs_is_lower_bound"]
    assert distances["uncounted"] == "plus 1 × aten::_cdist_forward"
    assert distances["macs"] == 3 * factories.CLASSES
    assert matmul["macs"] == cases.MACS[cases.MatmulLeft]
    assert "matmul 16,384" in matmul["fvcore_disagreements"]  # fvcore uses the left operand's batch

    assert main(["cost", *archs, *sizes, "--format", "markdown"]) == 0
    shown = capfd.readouterr().out
    assert "≥ 3,000" in shown
    assert "tests.bench.factories:distances: its MACs are a lower bound: plus 1 ×" in shown


def test_a_network_that_fails_does_not_stop_the_others(capfd: pytest.CaptureFixture[str]) -> None:
    archs = ("tests.bench.broken:raises_when_called", "tests.bench.cases:MatmulLeft")
    assert main(["cost", *archs, "--image-size", "32", "--format", "json"]) == 2
    out, err = capfd.readouterr()
    assert [row["macs"] for row in json.loads(out)] == [cases.MACS[cases.MatmulLeft]]
    assert "raises_when_called at 32×32: IndexError: no such layer" in err


def test_counts_stay_integers_beside_missing_ones(capfd: pytest.CaptureFixture[str]) -> None:
    archs = ("tests.bench.cases:MatrixVector", "tests.bench.cases:MatmulLeft")
    assert main(["cost", *archs, "--image-size", "32", "--format", "json"]) == 0
    text = capfd.readouterr().out
    assert [row["fvcore_total"] for row in json.loads(text)] == [None, 16_384]
    assert "16384.0" not in text


def test_the_output_of_a_network_goes_to_standard_error(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["cost", "tests.bench.cases:Prints", "--image-size", "32", "--format", "json"]) == 0
    out, err = capfd.readouterr()
    assert [row["macs"] for row in json.loads(out)] == [3 * 32 * 32 * 10]
    assert "shape torch.Size([1, 3, 32, 32])" in err


def test_cost_accepts_several_archs_and_sizes(capsys: Capture) -> None:
    sizes = ["--image-size", "64", "--batch-size", "3"]
    (row, again) = from_csv(printed(capsys, "cost", TINY, TINY, *sizes, "--format", "csv"))
    assert row == again
    assert (row["arch"], row["image_size"], row["batch_size"]) == (TINY, "64", "3")
    assert int(row["macs"]) == 3 * (7 * 7 * 3 * 8 * 16**2 + TINY_FC_MACS)
    assert int(row["flops"]) == 2 * int(row["macs"])


def test_cost_of_stages(capsys: Capture) -> None:
    text = printed(capsys, "cost", TINY, "--stages", "--format", "json")
    rows = {row["stage"]: row for row in json.loads(text)}
    assert list(rows) == ["0", "1", "2", "3", "4"]
    assert {name: row["macs"] for name, row in rows.items()} == {
        **dict.fromkeys("123", 0),
        "0": TINY_CONV_MACS,
        "4": TINY_FC_MACS,
    }
    assert rows["4"]["params"] == 8 * 1000 + 1000
    assert all("params_with_aux" not in row for row in rows.values())


def test_cost_as_markdown_and_on_a_terminal(capsys: Capture) -> None:
    heading, row = from_markdown(printed(capsys, "cost", TINY, "--format", "markdown"))
    shown = dict(zip(heading, row, strict=True))
    assert shown["arch"] == TINY
    assert shown["MACs"] == f"{TINY_CONV_MACS + TINY_FC_MACS:,}"
    assert shown["FLOPs"] == f"{2 * (TINY_CONV_MACS + TINY_FC_MACS):,}"
    assert "stage" not in heading
    on_terminal = printed(capsys, "cost", TINY)
    assert TINY in on_terminal
    assert shown["FLOPs"] in on_terminal


@pytest.mark.parametrize(
    ("command", "column", "names"),
    [("archs", "arch", list(VARIANTS)), ("modes", "token", list(modes.tokens()))],
)
def test_lists_in_every_format(
    capsys: Capture, command: str, column: str, names: list[str]
) -> None:
    rows = json.loads(printed(capsys, command, "--format", "json"))
    assert [row[column] for row in rows] == names
    assert from_csv(printed(capsys, command, "--format", "csv")) == rows
    heading, *body = from_markdown(printed(capsys, command, "--format", "markdown"))
    assert heading == list(rows[0])
    assert body == [list(row.values()) for row in rows]
    on_terminal = printed(capsys, command)
    assert on_terminal == printed(capsys, command, "--format", "rich")
    assert [name for name in names if f" {name} " not in on_terminal] == []


def test_modes_have_kinds_and_devices(capsys: Capture) -> None:
    rows = json.loads(printed(capsys, "modes", "--format", "json"))
    assert {row["token"]: (row["kind"], row["devices"]) for row in rows} == {
        "eager": ("executor", "cpu, cuda"),
        "compile": ("executor", "cpu, cuda"),
        "reduce-overhead": ("executor", "cuda"),
        "max-autotune": ("executor", "cpu, cuda"),
        "freeze": ("executor", "cpu, cuda"),
        "aot": ("executor", "cpu, cuda"),
        "onednn": ("executor", "cpu"),
        "onnxruntime": ("executor", "cpu"),
        "openvino": ("executor", "cpu"),
        "tensorrt": ("executor", "cuda"),
        "cudagraphs": ("executor", "cuda"),
        "cpp_wrapper": ("option", "cpu, cuda"),
        "channels_last": ("memory_format", "cpu, cuda"),
        "fold": ("rewrite", "cpu, cuda"),
        "fuse": ("rewrite", "cpu, cuda"),
        "packed": ("rewrite", "cpu"),
    }


def test_an_unknown_arch_exits_with_one_line(capsys: Capture) -> None:
    assert "did you mean 'torchvision'?" in refused(capsys, "cost", "tochvision")
    assert "did you mean 'resnet" in refused(capsys, "cost", "torchvision:resnet81")
    assert "did you mean 'torchvision:resnet18'?" in refused(capsys, "cost", "resnet18")
    assert "; did you mean 'tests.bench.tiny:net'?" in refused(
        capsys, "cost", "tests.bench.tiny:nt"
    )
    assert "(googlenet@192), or channels, height" in refused(capsys, "cost", "googlenet@abc")


def test_table1_proposes_only_networks_that_it_takes(capsys: Capture) -> None:
    assert "did you mean 'googlenet'?" in refused(capsys, "table1", "nonet")
    assert "did you mean 'torchvision'?" in refused(capsys, "table1", "torchvison?width=2")


@pytest.mark.parametrize(
    ("arguments", "nearest"),
    [
        (("baseline", "--archs=resnet18"), "torchvision:resnet18"),
        (("gate", "--static", "--archs=resnet18"), "torchvision:resnet18"),
        (("pick", "--from=resnet18", "--max-latency=1s"), "torchvision:resnet18"),
        (("pick", "--from=googlenet", "--max-latency=1s", "--modes=eagr"), "eager"),
        (("report", "RUN", "--table=sumary"), "summary"),
        (("report", "RUN", "--export=coment"), "comment"),
        (("compare", "RUN", "RUN", "--across=tourch"), "torch"),
        (("compare", "RUN", "RUN", "--fail-on=regresed"), "regressed"),
    ],
)
def test_the_nearest_name_is_hinted_at(
    capsys: Capture, run_file: str, arguments: tuple[str, ...], nearest: str
) -> None:
    typed = (run_file if argument == "RUN" else argument for argument in arguments)
    assert f"did you mean {nearest!r}?" in refused(capsys, *typed)


def test_a_module_in_src_is_hinted_at(
    capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "src" / "own_package"
    package.mkdir(parents=True)
    (package / "blocks.py").write_text("from torch import nn\n")
    (package / "nets.py").write_text(
        "from .blocks import nn\n\n\ndef net():\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, 10))\n"
    )
    (package / "__init__.py").touch()
    monkeypatch.chdir(tmp_path)
    message = refused(capsys, "cost", "own_package.nets:net")
    assert "install your project, or name the file, src/own_package/nets.py:net" in message
    assert "nets.py:net" in printed(capsys, "cost", "src/own_package/nets.py:net@8")


def test_images_of_another_size_are_hinted_at(
    capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "made_for_32.py").write_text(
        "from torch import nn\n\n\ndef net():\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 10))\n",
        encoding="utf-8",
    )
    monkeypatch.syspath_prepend(tmp_path)
    message = refused(capsys, "cost", "made_for_32:net")
    # torch 2.11 does not name the operator, addmm.
    shapes = r"made_for_32:net at 224×224: (addmm: )?mat1 and mat2 shapes cannot be multiplied"
    assert re.search(shapes, message)
    assert "select it with --image-size or NAME@PIXELS, or give its factory image_size" in message
    assert "made_for_32:net" in printed(capsys, "cost", "made_for_32:net@32")


@pytest.mark.parametrize(
    ("arch", "part"),
    [
        ("x:", "is not an arch: expected"),
        ("no_such_package:net", "cannot import 'net' from 'no_such_package'"),
        ("tests.bench.factories:not_a_network", "returned dict, not an nn.Module"),
        ("tests.bench.factories:not_callable", "not_callable"),
        ("tests.bench.broken:needs_an_argument", "needs_an_argument() raised TypeError: "),
        ("tests.bench.broken:raises_when_called", "at 224×224: IndexError: no such layer"),
    ],
)
def test_a_network_that_cannot_be_built_or_counted_exits_with_one_line(
    capsys: Capture, arch: str, part: str
) -> None:
    assert part in refused(capsys, "cost", arch)


def test_too_small_images_exit_with_one_line(capsys: Capture) -> None:
    line = refused(capsys, "cost", "googlenet", "--image-size", "30")
    assert "googlenet at 30×30: images must be at least 31×31 pixels" in line


@pytest.mark.parametrize("option", ["--image-size", "--batch-size"])
def test_a_size_below_one_exits_with_one_line(capsys: Capture, option: str) -> None:
    assert "must be at least 1" in refused(capsys, "cost", TINY, option, "0")


@pytest.mark.parametrize(
    "arguments",
    [
        *([], ["no-such-command"], ["archs", "--format", "xml"], ["report"]),
        *(["archs", "--bogus"], ["modes", "x"], ["completion", "bash", "extra"]),
        *(["completion", "bash", "--format", "csv"], ["report", "run.json", "--bogus"]),
    ],
)
def test_errors_of_argparse_have_exit_code_2(capsys: Capture, arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    usage, *_, error = capsys.readouterr().err.splitlines()
    command = arguments[0] if arguments and arguments[0] != "no-such-command" else "[-h]"
    assert usage.startswith(f"usage: googlenet-bench {command} ")
    assert error.startswith("googlenet-bench: ")


def test_table1_of_the_default_network(capsys: Capture) -> None:
    rows = {row["row"]: row for row in json.loads(printed(capsys, "table1", "--format", "json"))}
    # docs/facts.md: conv1 has 9,408 and 118M, but the paper a separable convolution; conv2 agrees.
    assert (rows["conv1"]["weights"], rows["conv1"]["paper_params"]) == (9_408, "2.7K")
    assert (rows["conv1"]["params_agree"], rows["conv1"]["ops_agree"]) == (False, False)
    assert "separable" in rows["conv1"]["reason"]
    assert (rows["conv2"]["weights"], rows["conv2"]["paper_params"]) == (114_688, "112K")
    assert (rows["conv2"]["params_agree"], rows["conv2"]["ops_agree"]) == (True, True)
    for row in rows.values():
        assert (row["reason"] == "") is (row["params_agree"] and row["ops_agree"]), row


def test_table1_of_torchvision(capsys: Capture) -> None:
    heading, *body = from_markdown(printed(capsys, "table1", "torchvision", "--format", "markdown"))
    rows = {cells[0]: cells for cells in body}
    assert heading[:4] == ["row", "weights", "paper's params", "agree"]
    # 3a with a 3×3 in the 5×5 branch: 25 - 9 = 16 fewer weights for each of 16 · 32 channel pairs.
    assert rows["3a"][1:4] == [f"{163_328 - 16 * 16 * 32:,}", "159K", "NO"]
    assert rows["conv2"][1:4] == ["114,688", "112K", "yes"]
    # The reasons are for this network: 3b with a 3×3 does not have 379.6K parameters with biases.
    assert "379.6K" not in rows["3b"][-1]
    assert rows["3a"][-1] != ""


def test_table1_refuses_a_network_without_its_stages(capsys: Capture) -> None:
    line = refused(capsys, "table1", "torchvision:resnet18")
    assert "torchvision:resnet18: this network has no stage for Table 1's rows conv2, 3a" in line


def test_report_of_a_missing_file_exits_with_one_line(capsys: Capture, tmp_path: Path) -> None:
    assert "no-such-run.json" in refused(capsys, "report", str(tmp_path / "no-such-run.json"))


def test_report_of_a_file_that_is_not_json_says_so_once(capsys: Capture, tmp_path: Path) -> None:
    path = tmp_path / "bad.json"
    path.write_text("figures: 1")
    sentence = refused(capsys, "report", str(path))
    assert f"{path}: it is not JSON: invalid character (byte 5)" in sentence


def test_report_of_an_invalid_journal_exits_with_one_line(capsys: Capture, tmp_path: Path) -> None:
    path = tmp_path / "other.jsonl"
    path.write_text('{"some": "thing"}\n')
    assert "other.jsonl is not a journal: line 1" in refused(capsys, "report", str(path))


@pytest.fixture
def run_file(tmp_path: Path) -> str:
    path = tmp_path / "run.json"
    store.write(rungs.ladder(), path)
    return str(path)


def test_a_single_table_is_printed_without_writing_files(capsys: Capture, run_file: str) -> None:
    text = printed(capsys, "report", run_file, "--table", "ladder", "--format", "csv")
    assert from_csv(text)[0]["after"] == "googlenet-3x3"
    assert [path.name for path in Path(run_file).parent.iterdir()] == ["run.json"]
    assert "summary, trust, front, ladder, interactions" in refused(
        capsys, "report", run_file, "--table", "x"
    )
    for title in ("cells", "All cells"):
        assert "did you mean 'summary'?" in refused(capsys, "report", run_file, "--table", title)
    for_people = printed(capsys, "report", run_file, "--table", "ladder", "--format", "markdown")
    assert "same network" in for_people
    assert "same network" not in text
    arguments = (
        "report",
        run_file,
        "--table",
        "ladder",
        "--report-dir",
        str(Path(run_file).parent),
    )
    assert "omit --report-dir" in refused(capsys, *arguments)


def test_a_report_is_written_again_with_other_fronts(capsys: Capture, tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    store.write(fronts.several(), path)
    table = ("report", str(path), "--table", "front", "--format", "csv")
    assert {row["axis"] for row in from_csv(printed(capsys, *table))} == {"latency"}
    rows = from_csv(printed(capsys, *table, "--front", "params,memory"))
    assert {row["axis"] for row in rows} == {"params", "memory"}
    assert "did you mean 'params'? known: latency" in refused(capsys, *table, "--front", "param")
    labels = ("report", str(path), str(path), "--labels", "a,b", "--front", "params")
    assert "omit --front or --labels" in refused(capsys, *labels)
    export = ("report", str(path), "--export", "bmf", "--front", "params")
    assert "omit --front" in refused(capsys, *export)


@pytest.mark.parametrize("command", ["report run.json", "stages googlenet"])
def test_an_empty_folder_name_is_refused(capsys: Capture, command: str) -> None:
    sentence = refused(capsys, *command.split(), "--report-dir", "")
    assert "--report-dir is empty: name a folder" in sentence


@pytest.mark.parametrize("form", ["csv", "json"])
def test_csv_and_json_of_runs_side_by_side_have_the_label_in_a_column(
    capsys: Capture, run_file: str, form: str
) -> None:
    text = printed(
        capsys, "report", run_file, run_file, "--labels", "before,after", "--format", form
    )
    rows = from_csv(text) if form == "csv" else json.loads(text)
    count = len(rungs.FACTORS)
    assert [row["run"] for row in rows] == count * ["before"] + count * ["after"]
    assert all(float(row["images_per_s_low"]) > 0 for row in rows)


def test_runs_are_put_side_by_side(capsys: Capture, run_file: str, tmp_path: Path) -> None:
    folder = str(tmp_path / "both")
    labels = ("--labels", "before,after")
    text = printed(capsys, "report", run_file, run_file, *labels, "--report-dir", folder)
    assert "after: latency ms" in " ".join(text.split())
    assert "not measured together" in (tmp_path / "both" / "side-by-side.md").read_text("utf-8")
    assert (tmp_path / "both" / "side-by-side.csv").read_text("utf-8").startswith("run,arch")


@pytest.mark.parametrize(
    ("count", "labels", "expected"),
    [
        (2, "one", "2 runs and 'one' do not match"),
        (1, "one", "at least two runs"),
        (2, "same,same", "gives two runs the same name"),
        (2, "one,", "an empty name"),
    ],
)
def test_labels_must_name_each_run_uniquely(
    capsys: Capture, run_file: str, count: int, labels: str, expected: str
) -> None:
    assert expected in refused(capsys, "report", *[run_file] * count, "--labels", labels)


def test_help_lists_each_command_in_one_line_by_purpose(capsys: Capture) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    lines = capsys.readouterr().out.splitlines()
    commands = parser().commands
    width = max(map(len, commands.subparsers.choices))
    assert set(commands.subparsers.choices) == {
        name for listed in commands.listed.values() for name in listed
    }
    for purpose, listed in commands.listed.items():
        start = lines.index(f"{purpose}:") + 1
        assert lines[start : start + len(listed)] == [
            f"  {name:{width}}  {line}" for name, line in listed.items()
        ]
    assert max(map(len, lines)) <= 100
    assert "  googlenet-bench run --profile quick" in lines


def test_version_of_the_module() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bench", "--version"],
        capture_output=True,
        text=True,
        check=True,
        timeout=HANG_S,
    )
    assert done.stdout.strip() == bench.__version__


def test_a_gate_is_shown_again_from_its_run_file(capsys: Capture, tmp_path: Path) -> None:
    gate = gates.gate({runs.EAGER: gates.SLOWER, runs.COMPILED: gates.SAME})
    run_file, *reports = files.write_all(gate, tmp_path)
    before = [path.read_text() for path in reports]
    for path in reports:
        path.unlink()
    shown = printed(capsys, "report", str(run_file))
    assert "abc with uncommitted changes against def: 1 regressed, 1 unchanged" in shown
    assert [path.read_text() for path in reports] == before
    assert {path.name for path in tmp_path.iterdir()} == {"run.json", "gate.md", "gate.json"}
    table = printed(capsys, "report", str(run_file), "--table", "verdicts", "--format", "csv")
    assert [row["cell"] for row in csv.DictReader(io.StringIO(table))] == [
        runs.EAGER.id,
        runs.COMPILED.id,
    ]


def test_a_run_that_is_no_gate_has_no_verdicts(capsys: Capture, tmp_path: Path) -> None:
    store.write(runs.small(), tmp_path / "run.json")
    assert "is not a gate" in refused(
        capsys, "report", str(tmp_path / "run.json"), "--table", "verdicts"
    )


def test_ctrl_c_exits_with_a_message(tmp_path: Path) -> None:
    """The command is interrupted while its network is being built."""
    (tmp_path / "slow.py").write_text("import time\nprint('begun', flush=True)\ntime.sleep(60)")
    process = subprocess.Popen(
        [sys.executable, "-m", "bench", "cost", "slow:network"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    try:
        assert process.stderr.readline() == "begun\n"  # a network's output goes to stderr
        process.send_signal(signal.SIGINT)
    except BaseException:
        process.kill()
        raise
    finally:
        _, stderr = process.communicate(timeout=HANG_S)
    assert stderr == "googlenet-bench: interrupted\n"
    assert process.returncode == 2


def test_whole_numbers_beside_missing_ones_stay_whole_in_csv(
    capsys: pytest.CaptureFixture[str],
) -> None:
    grey = "tests.bench.own_inputs:grey"
    text = printed(capsys, "cost", "tests.bench.tiny:net@96", grey, "--format", "csv")
    first, second = text.splitlines()[1:]
    assert first.startswith("tests.bench.tiny:net@96,96,1,")
    assert second.startswith(f"{grey},,1,")


def test_table_1_is_only_for_the_size_of_the_paper(capsys: pytest.CaptureFixture[str]) -> None:
    assert "images of 224 pixels" in refused(capsys, "table1", "googlenet@96")
