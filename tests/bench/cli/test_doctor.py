import csv
import io
import subprocess
import sys

import pytest

from bench import cli
from bench.doctor import examine
from bench.doctor.finding import Finding, Severity
from bench.tables import PROSE
from tests.bench import rehearsal

Capture = pytest.CaptureFixture[str]


@pytest.mark.parametrize(
    ("state", "code"), [(Severity.SPOILS, 0), (Severity.LIMITS, 0), (Severity.PREVENTS, 1)]
)
def test_only_a_finding_that_prevents_measuring_fails(
    state: Severity, code: int, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    finding = Finding(what="worker", found="none", state=state, advice="start one")
    monkeypatch.setattr(examine, "examine", lambda _: (finding,))
    assert cli.main(["doctor", "--device", "cpu", "--format", "csv"]) == code
    (row,) = csv.DictReader(io.StringIO(capsys.readouterr().out))
    assert row == {"what": "worker", "found": "none", "state": state, "advice": "start one"}


@pytest.mark.parametrize("table_format", ["rich", "markdown", "csv", "json"])
def test_the_last_line_is_the_verdict(
    table_format: str, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    """A program that reads the table does not want it: there it is on standard error."""
    finding = Finding(what="worker", found="runs")
    monkeypatch.setattr(examine, "examine", lambda _: (finding,))
    assert cli.main(["doctor", "--device", "cpu", "--format", table_format]) == 0
    printed = capsys.readouterr()
    verdict = "This machine can measure."
    if table_format in PROSE:
        assert printed.out.splitlines()[-1] == verdict
        assert printed.err == ""
    else:
        assert verdict not in printed.out
        assert printed.err == f"googlenet-bench: {verdict}\n"


def test_an_unknown_device_is_refused(capsys: Capture) -> None:
    assert cli.main(["doctor", "--device", "tpu"]) == 2
    assert "no device is called 'tpu'" in capsys.readouterr().err


@pytest.mark.workers
def test_every_gpu_is_examined() -> None:
    """There are two simulated GPUs, and another process uses the second."""
    ended = subprocess.run(
        [sys.executable, "-m", "bench", "doctor", "--device=cuda:all", "--format=csv"],
        cwd=rehearsal.ROOT,
        env=rehearsal.environment(devices=2),
        capture_output=True,
        text=True,
        check=False,
    )
    rows = {row["what"]: row for row in csv.DictReader(io.StringIO(ended.stdout))}
    assert rehearsal.NAME in rows["worker on cuda:1"]["found"], ended.stderr
    assert rehearsal.NAME in rows["cuda:1"]["found"]
    assert rows["cuda:0: others"]["state"] == Severity.FINE
    assert "process 4242" in rows["cuda:1: others"]["found"]
    assert ended.returncode == 1
