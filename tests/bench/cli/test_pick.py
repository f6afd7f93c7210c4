"""``pick``, with real workers and tiny networks."""

import csv
import json
import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench.api import measuring, values
from bench.cli import main
from bench.engine.local.probe_worker import ProbeWorker
from bench.pick import halving, report
from bench.records import store
from bench.records.record import RunRecord
from bench.records.reported import ArchCost
from bench.report import files
from tests.bench import runs

Capture = pytest.CaptureFixture[str]

TINY, OTHER = "tests.bench.tiny:net", "tests.bench.tiny:of_ten_classes"
INEXACT = "tests.bench.factories:tiny"
BROKEN = "tests.bench.broken:raises_when_built"
NAMES = (TINY, OTHER, INEXACT)
FEW = ("--image-size=32", "--device=cpu", "--foreign-cpus=100", "--sets=2", "--precision=1")
SLOW = "10s"  # a limit that every network keeps to


@pytest.fixture
def accuracies(tmp_path: Path) -> Path:
    path = tmp_path / "own.csv"
    path.write_text(
        f"arch,accuracy,source\n{TINY},70,our images\n{OTHER},65,our images\n{INEXACT},60,\n"
    )
    return path


@pytest.fixture
def plans(monkeypatch: pytest.MonkeyPatch) -> list[RunRecord]:
    """Return the list of the runs that are measured; each has few rounds."""
    measured: list[RunRecord] = []
    measure = measuring.measure

    def short(request: Any, plan: Any, *others: Any, **named: Any) -> RunRecord:
        measured.append(measure(request, replace(plan, rounds=2), *others, **named))
        return measured[-1]

    monkeypatch.setattr(measuring, "measure", short)
    return measured


def refused(capsys: Capture, *arguments: str) -> str:
    """Run an invalid request, which measures nothing, and return its single line on stderr."""
    (line,) = ended(capsys, *arguments)
    return line


def ended(capsys: Capture, *arguments: str) -> list[str]:
    """Run a request that has no result, and return the lines on stderr; the last says why."""
    assert main(["pick", *arguments]) == 2
    out, err = capsys.readouterr()
    lines = err.splitlines()
    assert out == ""
    assert lines[-1].startswith("googlenet-bench: ")
    return lines


def read(folder: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((folder / report.CSV).read_text().splitlines()))


def test_the_least_accuracy_may_be_0() -> None:
    assert values.percentage("0", "--min-accuracy") == 0


@pytest.mark.workers
def test_the_most_accurate_within_the_limits_is_picked_and_reported(
    tmp_path: Path, accuracies: Path, plans: list[RunRecord], capsys: Capture
) -> None:
    folder = tmp_path / "report"
    arguments = ["--from", ",".join(NAMES), "--max-latency", SLOW, "--min-accuracy", "62", *FEW]
    code = main(["pick", *arguments, "--accuracy", str(accuracies), "--report-dir", str(folder)])
    out, err = capsys.readouterr()
    assert code == 0, err
    assert f"Picked: {TINY} in eager, the most accurate within the limits: 70.0 % (our" in out
    for part in ("3 candidates, of which 2 may fit", "step 2: 2 candidates", "step 3: "):
        assert part in err
    rows = {row["arch"]: row for row in read(folder)}
    assert list(rows) == list(NAMES)
    assert rows[TINY]["verdict"] == "picked"
    assert rows[INEXACT]["verdict"] == "dropped in step 1: its accuracy is 60 %, below 62 %"
    assert float(rows[TINY]["latency_s_low"]) < float(rows[TINY]["latency_s_high"]) < 10
    assert (folder / report.MARKDOWN).read_text().startswith(report.TITLE)
    # The final run is an ordinary one, with the user's accuracies and the counts of step 1.
    run = store.read(folder / files.RUN_FILE)
    assert run.run_id == plans[-1].run_id
    assert [record.cost.accuracy for record in run.cells][:1] == [70.0]
    assert all(record.cost.macs_per_image for record in run.cells)
    assert run.ceilings["fp32"].probes
    command = run.plan.command
    assert command is not None
    assert command.startswith(f"googlenet-bench pick --from {TINY},{OTHER},{INEXACT}")
    assert "--report-dir" not in command
    # A second choice may replace the files of the first.
    again = ("--from", TINY, "--max-latency", SLOW, "--report-dir", str(folder))
    assert "--sets must be at least 2" in refused(capsys, *again, "--sets", "1")


@pytest.mark.workers
def test_nothing_fits_a_limit_that_is_too_low(
    tmp_path: Path, accuracies: Path, plans: list[RunRecord], capsys: Capture
) -> None:
    del plans
    folder = tmp_path / "report"
    arguments = ["--from", f"{TINY},{OTHER}", "--max-latency", "20us", *FEW]
    code = main(["pick", *arguments, "--accuracy", str(accuracies), "--report-dir", str(folder)])
    out, err = capsys.readouterr()
    assert code == 1, err
    assert "No network keeps to the limits. The nearest is tests.bench.tiny:" in out
    assert "more than 1.25 times 0.020 ms" in " ".join(out.split())
    assert [row["verdict"][:19] for row in read(folder)] == ["dropped in step 2: "] * 2
    assert (folder / files.RUN_FILE).exists()


@pytest.mark.workers
def test_a_candidate_that_cannot_be_built_does_not_end_the_choice(
    tmp_path: Path, plans: list[RunRecord], capsys: Capture
) -> None:
    file = tmp_path / "own.py"
    file.write_text("raise ValueError('no licence')\n\n\ndef net(): ...\n")
    arguments = ["--from", f"{BROKEN},{file}:net,{TINY}", "--max-latency", SLOW, *FEW]
    assert main(["pick", *arguments, "--report-dir", str(tmp_path / "report")]) == 0
    assert f"Picked: {TINY} in eager" in capsys.readouterr().out
    verdicts = {row["arch"]: row["verdict"] for row in read(tmp_path / "report")}
    start = "dropped in step 1: it failed: "
    assert verdicts == {
        TINY: "picked",
        BROKEN: f"{start}{BROKEN}() raised RuntimeError: no such weights",
        f"{file}:net": f"{start}importing {file} raised ValueError: no licence",
    }
    assert {cell.cell.arch for cell in plans[-1].cells} == {TINY}


@pytest.mark.workers
def test_ctrl_c_in_the_final_run_reports_what_was_measured_and_resume_continues(
    tmp_path: Path,
    accuracies: Path,
    monkeypatch: pytest.MonkeyPatch,
    plans: list[RunRecord],
    capsys: Capture,
) -> None:
    measure, folder = measuring.measure, tmp_path / "report"
    arguments = ["--from", f"{TINY},{OTHER}", "--max-latency", SLOW, *FEW]
    arguments += ["--accuracy", str(accuracies), "--report-dir", str(folder)]

    def interrupted(*of: Any, **named: Any) -> RunRecord:
        if plans:
            os.kill(os.getpid(), signal.SIGINT)
        return measure(*of, **named)

    with monkeypatch.context() as patch:
        patch.setattr(measuring, "measure", interrupted)
        assert main(["pick", *arguments, "--format", "markdown"]) == 2
    out, _ = capsys.readouterr()
    assert out.startswith(
        "Interrupted in step 3: the choice is made from what was measured; --resume with the same "
        "options continues it."
    )
    assert "not decided: measuring ended early" in out
    assert len(plans) == 1
    journals = [path.parent.name for path in sorted(folder.glob("journals/*/journal.jsonl"))]
    assert journals == ["step-1", "step-2"]

    assert main(["pick", *arguments, "--resume", "--format", "json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)[0]["verdict"] == "picked"
    assert "step 2: 2 candidates: continued from its journal" in err
    # Nothing of the first step was measured again, and of the second step only what was missing.
    first, again, final = plans
    assert [each.visits for each in again.cells] == [each.visits for each in first.cells]
    assert final.ceilings == first.ceilings
    assert final.plan.command is not None
    assert "--resume" not in final.plan.command
    assert not (folder / "journals").exists()


@pytest.mark.workers
def test_what_was_counted_before_ctrl_c_is_not_counted_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, plans: list[RunRecord], capsys: Capture
) -> None:
    folder, asked = tmp_path / "report", []
    arguments = ["--from", f"{TINY},{OTHER}", "--max-latency", SLOW, *FEW]
    arguments += ["--report-dir", str(folder), "--format", "json"]
    count = ProbeWorker.count

    def noted(self: ProbeWorker, arch: str) -> ArchCost:
        asked.append(arch)
        return count(self, arch)

    def interrupted(self: ProbeWorker, arch: str) -> ArchCost:
        if arch == OTHER:
            os.kill(os.getpid(), signal.SIGINT)
        return noted(self, arch)

    with monkeypatch.context() as patch:
        patch.setattr(ProbeWorker, "count", interrupted)
        *_, line = ended(capsys, *arguments)
    assert f"the counts until then are in {folder}, and --resume with the same options" in line
    assert asked == [TINY]
    # Another plan cannot be resumed.
    *_, line = ended(capsys, *arguments, "--resume", "--batch-sizes", "1,2")
    assert "cannot resume: the plan has 4 cells" in line
    monkeypatch.setattr(ProbeWorker, "count", noted)
    assert main(["pick", *arguments, "--resume"]) == 0
    assert asked == [TINY, OTHER]
    assert len(plans) == 2


def test_what_is_not_accurate_enough_is_not_even_counted(accuracies: Path, capsys: Capture) -> None:
    arguments = ["--from", f"{OTHER},{INEXACT}", "--max-latency", SLOW, "--min-accuracy", "75"]
    code = main(["pick", *arguments, "--accuracy", str(accuracies), "--format", "json", *FEW])
    out, err = capsys.readouterr()
    assert code == 1
    assert "counting" not in err
    assert [(row["arch"], row["accuracy"], row["gmacs"]) for row in json.loads(out)] == [
        (OTHER, 65.0, None),
        (INEXACT, 60.0, None),
    ]


def test_reports_of_an_earlier_run_are_called_so_if_nothing_was_measured(
    tmp_path: Path, accuracies: Path, capsys: Capture
) -> None:
    folder = tmp_path / "report"
    arguments = ["--from", f"{OTHER},{INEXACT}", "--max-latency", SLOW, "--min-accuracy", "75"]
    arguments += ["--accuracy", str(accuracies), "--report-dir", str(folder), *FEW]
    sentence = "Nothing was measured: run.json and the reports beside it are those of an earlier"
    assert main(["pick", *arguments]) == 1
    assert sentence not in " ".join(capsys.readouterr().out.split())
    store.write(runs.small(), folder / files.RUN_FILE)
    assert main(["pick", *arguments]) == 1
    assert sentence in " ".join(capsys.readouterr().out.split())
    assert sentence in (folder / report.MARKDOWN).read_text()


def test_accuracies_of_no_candidate_are_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path.cwd()))
    monkeypatch.chdir(tmp_path)
    Path("own.csv").write_text(f"arch,accuracy\n{TINY}s,70\n")
    Path("pyproject.toml").write_text('[tool.googlenet-bench.accuracy]\n"my:other" = 70\n')
    arguments = ["--from", TINY, "--max-latency", SLOW, "--min-accuracy", "75", *FEW]
    arguments += ["--accuracy", "own.csv", "--report-dir", "report"]
    assert main(["pick", *arguments]) == 1
    out, err = (" ".join(text.split()) for text in capsys.readouterr())
    not_used = "has accuracies that are not used, because no candidate has the name:"
    for sentence in (
        f"[tool.googlenet-bench.accuracy] of pyproject.toml {not_used} my:other.",
        f"own.csv {not_used} {TINY}s (did you mean {TINY}?).",
    ):
        assert sentence in err
        assert sentence in out
        assert sentence.partition(":")[2] in Path("report", report.MARKDOWN).read_text()


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (("--from", TINY, "--max-latency", "1s", "--resume"), "--resume needs --report-dir, the"),
        (("--from", TINY, "--max-latency", "1s", "--resume", "--report-dir", "no"), "nothing to"),
        (("--max-latency", "20ms"), "--from is missing: name the networks to choose from"),
        (("--from", TINY), "--max-latency is missing: say how fast"),
        (("--from", TINY, "--max-latency", "20"), "with a unit (s, ms, us, µs), such as 20ms"),
        (("--from", TINY, "--max-latency", "1s", "--sets", "1"), "--sets must be at least 2"),
        (("--from", "googlnet", "--max-latency", "1s"), "did you mean 'googlenet'?"),
        (("--from", "torchvision:x*", "--max-latency", "1s"), "no arch matches"),
        (("--from", TINY, "--max-latency", "1s", "--max-params", "x"), "such as 30M, not 'x'"),
        (("--from", TINY, "--max-latency", "1s", "--min-accuracy", "101"), "from 0 to 100"),
        (("--from", TINY, "--max-latency", "1s", "--min-accuracy", "-1"), "from 0 to 100"),
        (("--from", TINY, "--max-latency", "1s", "--min-accuracy", "x"), "a number, not 'x'"),
        (("--from", TINY, "--max-latency", "1s", "--accuracy="), "is empty: name a file"),
        (("--from", TINY, "--max-latency", "1s", "--accuracy", "none.csv"), "cannot read none.csv"),
        (("--from", TINY, "--max-latency", "1s", "--device", "tpu"), "no device is called 'tpu'"),
    ],
)
def test_a_wrong_request_is_refused_in_one_line(
    capsys: Capture, arguments: tuple[str, ...], part: str
) -> None:
    assert part in refused(capsys, *arguments)


def test_somebody_else_s_file_is_not_replaced(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / report.MARKDOWN).write_text("my notes")
    line = refused(capsys, "--from", TINY, "--max-latency", "1s", "--report-dir", str(tmp_path))
    assert "contains pick.md, which a run would replace" in line


def test_the_steps_shrink_the_margin() -> None:
    margins = [step.margin for step in halving.STEPS]
    assert margins == sorted(margins, reverse=True)
