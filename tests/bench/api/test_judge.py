"""``judge``, with real workers and a network that sleeps, in a user's repository."""

import inspect
import json
from dataclasses import fields, replace
from pathlib import Path

import pytest
from rich.console import Console

from bench import RequestError, judge, load
from bench.api.gate import HEAD_CHANGED
from bench.api.gate_options import GateOptions
from bench.api.gate_request import MEASURE_ONLY
from bench.api.judge import JudgedRun
from bench.api.measure_request import MeasureRequest
from bench.api.progress import TerminalProgress
from bench.exits import Exit
from bench.gate import files
from bench.records import journal
from tests.bench import runs
from tests.bench.gate import gates
from tests.bench.suite.user_repository import CELL, DELTA, SECONDS, git, write_net

SILENT = TerminalProgress(Console(quiet=True))


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Create a repository with a committed network, and change to it."""
    root = tmp_path / "project"
    root.mkdir()
    git(root, "init", "--quiet")
    write_net(root)
    git(root, "add", ".")
    git(root, "commit", "--quiet", "--message", "a network")
    monkeypatch.chdir(root)
    return root


@pytest.mark.workers
def test_an_uncommitted_slowdown_regresses_and_is_saved(repository: Path, tmp_path: Path) -> None:
    write_net(repository, seconds=2 * SECONDS)
    folder = tmp_path / "report"
    judged = judge(
        base="HEAD",
        archs=["nets:sleeper"],
        modes=["eager"],
        rounds=3,
        foreign_cpus=100.0,
        delta=DELTA,
        report_dir=folder,
        progress=SILENT,
    )
    assert judged.verdicts == {CELL: "regressed"}
    assert judged.exit_code == Exit.FAILED
    assert "1 regressed" in str(judged)
    command = str(judged.record.plan.command)
    assert command.startswith("judge(base='HEAD', delta=0.2, archs=['nets:sleeper']")
    head, base = judged.record.code, judged.record.base_code
    assert head is not None
    assert base is not None
    assert head.commit == base.commit == git(repository, "rev-parse", "HEAD")
    assert head.digest != base.digest
    assert [path.name for path in folder.iterdir()] == [journal.FILE]
    judged.save(folder)
    assert {path.name for path in folder.iterdir()} == files.names()
    content = json.loads((folder / files.VERDICTS).read_text(encoding="utf-8"))
    assert content["exit_code"] == judged.exit_code
    assert content["base"]["code"]["digest"] == base.digest
    assert str(load(folder)) == str(judged)


def test_a_failed_cell_and_a_changed_head_have_verdicts_and_exit_codes_of_their_own() -> None:
    gate = gates.gate({runs.EAGER: gates.SAME, runs.FAILED: gates.SAME})
    for side, verdict, code in (
        ("head", "failed", Exit.FAILED),
        ("base", "inconclusive", Exit.UNDECIDED),
    ):
        failed = gates.failed(gate, runs.FAILED, **{side: True})
        judged = JudgedRun(record=failed.run_with_settings)
        assert judged.verdicts == {runs.EAGER.id: "unchanged", runs.FAILED.id: verdict}
        assert judged.exit_code == code
    record = replace(judged.record, notes=(HEAD_CHANGED,))
    assert JudgedRun(record=record).exit_code == Exit.WRONG_REQUEST


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "name what to compare with: --base REV or --base-python PATH"),
        ({"delta": 0.1}, "--delta applies only to a gate: name the base with --base"),
        ({"base": ""}, "--base is empty"),
        ({"base": "HEAD", "sets": 4}, "--sets cannot be combined with a gate"),
        ({"base": "HEAD", "archs": ["gogglenet"]}, "no arch is called 'gogglenet'"),
    ],
)
@pytest.mark.usefixtures("repository")
def test_a_wrong_request_is_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        judge(device="cpu", progress=SILENT, **options)  # type: ignore[arg-type]


def test_the_parameters_are_the_options_of_a_gate() -> None:
    parameters = inspect.signature(judge).parameters
    options = [*fields(GateOptions), *fields(MeasureRequest)]
    assert {name: each.default for name, each in parameters.items()} == {
        **{each.name: each.default for each in options},
        "progress": None,
    }
    documentation = inspect.getdoc(judge) or ""
    shown = {name for name in parameters if f"\n{name}" in documentation}
    assert shown == parameters.keys() - set(MEASURE_ONLY)
