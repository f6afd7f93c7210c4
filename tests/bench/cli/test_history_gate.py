"""``history gate`` and the page of ``history trend``: verdicts, exit codes and files."""

import json
from pathlib import Path
from typing import Any

import pytest

from bench.api.history import DEFAULT
from bench.cli import main
from bench.exits import Exit
from bench.history.store import open_store
from tests.bench import runs
from tests.bench.history import made
from tests.bench.history.histories import values

Capture = pytest.CaptureFixture[str]
EAGER = runs.EAGER.id


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project, in whose folder the commands run."""
    (tmp_path / "pyproject.toml").write_text("[tool.googlenet-bench]\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def fill(folder: Path, *parts: tuple[int, float]) -> None:
    """Make a history in which googlenet in eager takes these times as long."""
    (folder / DEFAULT).parent.mkdir()
    store = open_store(str(folder / DEFAULT), create=True)
    for day, slowdown in enumerate(values(*parts)):
        store.add(made.entry(day, slowdown))


def gate(capsys: Capture, *arguments: str) -> tuple[int, list[dict[str, Any]]]:
    code = main(["history", "gate", "--cell", EAGER, *arguments, "--format", "json"])
    return code, json.loads(capsys.readouterr().out)


def test_a_regression_in_the_last_runs_fails_and_is_named(folder: Path, capsys: Capture) -> None:
    fill(folder, (20, 1.0), (5, 1.1))
    code, (row,) = gate(capsys)
    assert (code, row["verdict"]) == (Exit.FAILED, "regressed")
    assert row["ratio"] == pytest.approx(1 / 1.1, rel=0.01)
    assert (row["commit_before"], row["commit_after"]) == (f"{19:040x}", f"{20:040x}")
    code, (row,) = gate(capsys, "--last", "4")
    assert (code, row["verdict"]) == (Exit.FINE, "unchanged")
    assert main(["history", "gate", "--cell", EAGER]) == Exit.FAILED
    assert "1 regressed, 0 improved" in " ".join(capsys.readouterr().out.split())


def test_an_improvement_costs_nothing(folder: Path, capsys: Capture) -> None:
    fill(folder, (20, 1.0), (5, 0.9))
    code, (row,) = gate(capsys)
    assert (code, row["verdict"]) == (Exit.FINE, "improved")


def test_too_few_runs_are_undecided_and_say_how_many_are_needed(
    folder: Path, capsys: Capture
) -> None:
    fill(folder, (12, 1.0))
    code, (row,) = gate(capsys)
    assert (code, row["verdict"]) == (Exit.UNDECIDED, "inconclusive")
    assert row["why"] == "it has 12 of the 15 runs that a change can be shown with"
    code, (row,) = gate(capsys, "--level", "0.01")
    assert (code, row["verdict"]) == (Exit.FINE, "unchanged")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--level", "2"], "--level takes a share from 0.0001 to 0.5, not '2'"),
        (["--level", "x"], "not 'x'"),
        (["--last", "0"], "--last must be at least 1, not 0"),
        (["--cell", "nothing*"], "no cell of the history matches 'nothing*'"),
    ],
)
def test_a_wrong_request_is_refused(
    arguments: list[str], message: str, folder: Path, capsys: Capture
) -> None:
    fill(folder, (1, 1.0))
    assert main(["history", "gate", *arguments]) == Exit.WRONG_REQUEST
    assert message in capsys.readouterr().err


def test_a_trend_is_written_as_a_page(folder: Path, capsys: Capture) -> None:
    fill(folder, (20, 1.0), (5, 1.1))
    assert main(["history", "trend", "--cell", EAGER, "--report-dir", "out"]) == Exit.FINE
    assert capsys.readouterr().out == "wrote out/history.html\n"
    page = (folder / "out" / "history.html").read_text(encoding="utf-8")
    assert "1 series: 1 regression." in page
    (folder / "file").touch()
    assert main(["history", "trend", "--report-dir", "file"]) == Exit.WRONG_REQUEST
    assert "cannot write to file" in capsys.readouterr().err
