"""The command ``history``: its tables, its errors and its exit codes."""

import csv
import io
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from bench import git
from bench.api.history import DEFAULT
from bench.cli import main
from bench.records import store
from tests.bench import runs
from tests.bench.history import made

Capture = pytest.CaptureFixture[str]
EAGER = runs.EAGER.id
SLOWDOWNS = (1.0, 1.0, 1.25)
FILES = [f"{day}.json" for day in range(len(SLOWDOWNS))]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project, in whose folder the commands run."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a project with three runs; in the last one, googlenet in eager is slower."""
    project = tmp_path_factory.mktemp("project")
    for day, slowdown in enumerate(SLOWDOWNS):
        store.write(made.run(day, slowdown), project / f"{day}.json")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(project)
        assert main(["history", "add", *FILES]) == 0
    return project


@pytest.fixture
def files(folder: Path, project: Path) -> list[str]:
    for name in FILES:
        shutil.copy(project / name, folder)
    return FILES


@pytest.fixture
def history(folder: Path, project: Path) -> None:
    """Copy the runs and their history into the folder of the test."""
    shutil.copytree(project, folder, dirs_exist_ok=True)


def printed(capsys: Capture, *arguments: str) -> str:
    assert main(["history", *arguments]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    return out


def refused(capsys: Capture, *arguments: str) -> str:
    """Run an invalid request and return its single line on stderr."""
    assert main(["history", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("googlenet-bench: ")
    assert err.count("\n") == 1
    return err


def rows(capsys: Capture, *arguments: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(printed(capsys, *arguments, "--format", "json"))
    return found


def test_runs_are_added_once(files: list[str], capsys: Capture) -> None:
    added = rows(capsys, "add", *files)
    assert [row["outcome"] for row in added] == ["added"] * 3
    assert [row["file"] for row in added] == files
    again = rows(capsys, "add", files[1], files[1])
    assert [(row["outcome"], row["run_id"]) for row in again] == [
        ("already there", added[1]["run_id"])
    ]
    assert len(rows(capsys, "list")) == 3


def test_a_damaged_file_does_not_keep_out_the_others(
    folder: Path, files: list[str], capsys: Capture
) -> None:
    (folder / "damaged.json").write_text("{")
    arguments = ["add", files[0], "damaged.json", "missing.json", files[1], "--format", "csv"]
    assert main(["history", *arguments]) == 2
    out, err = capsys.readouterr()
    assert [row["file"] for row in csv.DictReader(io.StringIO(out))] == files[:2]
    assert [line.split(":")[0] for line in err.splitlines()] == ["googlenet-bench"] * 2
    assert "damaged.json: it is not JSON" in err
    assert "cannot read missing.json" in err
    assert len(rows(capsys, "list")) == 2


def test_folders_and_files_of_other_projects_are_added(folder: Path, capsys: Capture) -> None:
    (folder / "report").mkdir()
    store.write(made.run(0), folder / "report" / "run.json")
    made.write_pytest_benchmark(folder / "other.json")
    added = rows(capsys, "add", "report", "other.json")
    assert [(row["kind"], row["cells"]) for row in added] == [("run", 7), ("pytest-benchmark", 1)]
    found = rows(capsys, "trend")
    metrics = {row["cell"]: row["metric"] for row in found}
    assert metrics["test_other.py::test_sum"] == "median_s"
    assert metrics[EAGER] == made.RATIO
    text = printed(capsys, "trend", "--cell", "test_other*")
    assert "test_other.py::test_sum, median: 1 run on AMD EPYC" in " ".join(text.split())
    assert "500 ms" in text


def test_a_journal_is_refused(folder: Path, capsys: Capture) -> None:
    (folder / "journal.jsonl").touch()
    assert "finish the run with --resume" in refused(capsys, "add", "journal.jsonl")


def test_a_file_without_a_date_is_refused_with_its_name(folder: Path, capsys: Capture) -> None:
    content = {**made.pytest_benchmark_content(), "datetime": ""}
    (folder / "other.json").write_text(json.dumps(content))
    assert "other.json: its date is ''" in refused(capsys, "add", "other.json")


@pytest.mark.usefixtures("history")
def test_the_default_file_is_ignored_by_git(folder: Path) -> None:
    assert (folder / DEFAULT).is_file()
    git.output(folder, "init", "--quiet")
    assert ".googlenet-bench" not in git.text(folder, "status", "--porcelain")


def test_the_project_says_where_its_history_is(
    folder: Path, files: list[str], capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    git.output(folder, "init", "--quiet")
    (folder / "pyproject.toml").write_text('[tool.googlenet-bench]\nhistory = "kept/all.db"\n')
    (folder / "below").mkdir()
    monkeypatch.chdir(folder / "below")
    printed(capsys, "add", f"../{files[0]}")
    assert (folder / "kept" / "all.db").is_file()
    assert not (folder / DEFAULT).exists()
    printed(capsys, "add", f"../{files[1]}", "--history", "own.db")
    assert (folder / "below" / "own.db").is_file()
    assert len(rows(capsys, "list")) == 1


@pytest.mark.usefixtures("history")
@pytest.mark.parametrize("form", ["rich", "markdown"])
def test_runs_are_listed(capsys: Capture, form: str) -> None:
    text = printed(capsys, "list", "--format", form)
    for day in range(3):
        assert f"2026-01-0{2 + day} 03:04" in text
    shortened = printed(capsys, "list", "--format", form, "--last", "1")
    assert "2026-01-04 03:04" in shortened
    assert "2026-01-03 03:04" not in shortened
    assert "The 1 most recent of 3 runs; --last N shows N." in shortened


@pytest.mark.usefixtures("history")
def test_a_run_is_shown_with_its_figures(capsys: Capture) -> None:
    (latest,) = rows(capsys, "list", "--last", "1")
    for name in ("latest", latest["run_id"]):
        found = {row["cell"]: row for row in rows(capsys, "show", name)}
        ratio = runs.BASE_S[runs.REFERENCE_EAGER] / runs.BASE_S[runs.EAGER] / SLOWDOWNS[-1]
        assert found[EAGER][made.RATIO] == pytest.approx(ratio)
        assert found[EAGER][f"{made.RATIO}_low"] == pytest.approx(ratio)
        assert found[runs.FAILED.id]["status"] == "died"
    text = " ".join(printed(capsys, "show", "latest").split())
    assert f"run {latest['run_id']} (complete), written 2026-01-04 03:04 UTC: branch main" in text


@pytest.mark.usefixtures("history")
def test_a_single_series_is_shown_run_by_run(capsys: Capture) -> None:
    ratio = runs.BASE_S[runs.REFERENCE_EAGER] / runs.BASE_S[runs.EAGER]
    text = printed(capsys, "trend", "--cell", EAGER, "--format", "markdown")
    assert "3 runs on AMD EPYC" in text
    table = [line.split("|") for line in text.splitlines() if line.startswith("| 2026")]
    changes = [line[-2].strip() for line in table]
    assert changes == ["–", "0.0", "−20.0"]
    assert f"{ratio:.3f}" in table[0][-3]
    assert "−20.0 % from the median of the earlier" in text
    short = printed(capsys, "trend", "--cell", EAGER, "--last", "1")
    assert "2026-01-04" in short
    assert "2026-01-03" not in short


@pytest.mark.usefixtures("history")
def test_several_series_are_shown_one_in_each_row(capsys: Capture) -> None:
    text = printed(capsys, "trend", "--cell", "googlenet/*/b1/*", "--format", "markdown")
    found = [line for line in text.splitlines() if line.startswith("| googlenet")]
    assert len(found) == 2
    (eager,) = (line for line in found if "/eager/" in line)
    assert [part.strip() for part in eager.split("|")][-3:] == ["−20.0", "██▁", ""]
    assert "is a series of its own" in text


@pytest.mark.usefixtures("history")
def test_a_column_shows_in_which_circumstance_series_differ(folder: Path, capsys: Capture) -> None:
    def headings(*arguments: str) -> list[str]:
        line = printed(capsys, "trend", "--format", "markdown", *arguments).splitlines()[0]
        return [part.strip() for part in line.strip("|").split("|")]

    own = ["cell", "metric", "runs", "since"]
    assert headings()[:4] == own  # the reference is told by the cell's batch size
    store.write(runs.in_environment(made.run(5), torch="2.12.0"), folder / "5.json")
    printed(capsys, "add", "5.json")
    assert headings("--cell", EAGER)[:5] == ["cell", "metric", "torch", "runs", "since"]
    smaller = runs.with_plan(made.run(6), image_size=192)
    store.write(runs.in_environment(smaller, cpu_model=17), folder / "6.json")
    printed(capsys, "add", "6.json")
    expected = ["cell", "metric", "hardware", "torch", "image size", "runs", "since"]
    assert headings("--cell", EAGER)[:7] == expected


@pytest.mark.usefixtures("history")
def test_every_point_is_printed_for_programs(capsys: Capture) -> None:
    found = rows(capsys, "trend", "--cell", EAGER, "--metric", "latency_s")
    base = found[0]["value"]
    assert [row["value"] / base for row in found] == pytest.approx(SLOWDOWNS)
    assert [row["when"] for row in found] == sorted(row["when"] for row in found)
    assert {row["unit"] for row in found} == {"s"}
    table = csv.DictReader(io.StringIO(printed(capsys, "trend", "--format", "csv")))
    assert len(list(table)) == 3 * 5  # cells with a ratio


@pytest.mark.usefixtures("history")
def test_figures_are_exported(folder: Path, capsys: Capture) -> None:
    table = list(csv.DictReader(io.StringIO(printed(capsys, "export"))))
    found = rows(capsys, "export")
    assert len(found) == len(table)
    assert [float(row["value"]) for row in table] == [row["value"] for row in found]
    assert [row["metric"] for row in table] == [row["metric"] for row in found]
    text = printed(capsys, "export", "--metric", "latency_s", "-o", "figures.csv")
    assert text == f"wrote figures.csv ({3 * 5} figures)\n"
    assert "exists: --force" in refused(capsys, "export", "-o", "figures.csv")
    printed(capsys, "export", "-o", "figures.csv", "--force", "--format", "json")
    assert json.loads((folder / "figures.csv").read_text()) == found
    assert sorted(path.name for path in folder.glob(".figures*")) == []


@pytest.mark.usefixtures("history")
@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["show", "f"], "no run whose id begins with 'f'"),
        (["show", "0"], "the ids of 3 runs begin with '0'"),
        (["trend", "--cell", "nothing*"], "no cell of the history matches 'nothing*'"),
        (["trend", "--cell", f"{EAGER}x"], f"did you mean {EAGER!r}?"),
        (["trend", "--metric", "latencys"], "did you mean 'latency_s'?"),
        (["trend", "--last", "0"], "--last must be at least 1"),
        (["list", "--last", "two"], "--last takes a whole number"),
        (["trend", "--branch", "topic"], "no run on the branch 'topic'"),
        (["list", "--history", "missing.db"], "there is no history at missing.db"),
        (["export", "--cell", "nothing*"], "no cell of the history matches 'nothing*'"),
        (["list", "--history", "0.json"], "file is not a database"),
        (["export", "-o", "missing/figures.csv"], "cannot write missing/figures.csv"),
    ],
)
def test_a_wrong_request_is_told_in_a_sentence(
    capsys: Capture, arguments: list[str], expected: str
) -> None:
    assert expected in refused(capsys, *arguments)


def test_without_an_action_the_usage_is_shown(capsys: Capture) -> None:
    with pytest.raises(SystemExit) as raised:
        main(["history"])
    assert raised.value.code == 2
    assert "required: ACTION" in capsys.readouterr().err
