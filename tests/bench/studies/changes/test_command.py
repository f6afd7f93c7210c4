from pathlib import Path

import pytest

from bench.exits import Exit
from bench.studies.changes import command, labelled, noise, report, study
from bench.studies.changes.cases import STEPS, UNCHANGED
from bench.studies.changes.command import DATA
from bench.studies.changes.detectors import DETECTORS
from bench.studies.changes.trials import Row
from bench.studies.power import table

ROOT = Path(__file__).resolve().parents[4]


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the other tools out, which are not installed for tests, and most cases."""
    monkeypatch.setattr(study, "DETECTORS", {"ours": DETECTORS["ours"]})
    monkeypatch.setattr(study, "CASES", (UNCHANGED, *STEPS[:1]))
    monkeypatch.setattr(study, "NOISES", {"normal": noise.normal})
    monkeypatch.setattr(labelled, "missing", lambda: "not installed")


def test_the_page_and_its_rows_are_written_and_can_be_rendered_again(tmp_path: Path) -> None:
    options = [f"--data={ROOT / DATA}", f"--report-dir={tmp_path}"]
    assert command.main(["--series=5", "--processes=1", *options]) == Exit.FINE
    page = (tmp_path / report.FILE).read_text(encoding="utf-8")
    rows = table.read(tmp_path / report.ROWS_FILE, Row)
    assert [(row.noise, row.case, row.series) for row in rows[:2]] == [
        ("normal", "unchanged", 5),
        ("normal", "recent", 1),
    ]
    assert rows[2].noise == study.IN_ORDER
    (tmp_path / report.FILE).unlink()
    # The rows are kept, so nothing is simulated again.
    assert command.main(["--series=7", *options]) == Exit.FINE
    assert (tmp_path / report.FILE).read_text(encoding="utf-8") == page
    again = ["--series=3", "--processes=1", "--again"]
    assert command.main([*again, *options]) == Exit.FINE
    assert table.read(tmp_path / report.ROWS_FILE, Row)[0].series == 3


def test_a_folder_without_data_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = [f"--data={tmp_path}", f"--report-dir={tmp_path}"]
    assert command.main(["--series=1", *options]) == Exit.WRONG_REQUEST
    assert "has no A/A sets" in " ".join(capsys.readouterr().err.split())


def test_a_number_that_is_none_is_refused() -> None:
    with pytest.raises(SystemExit) as ended:
        command.main(["--series=-1"])
    assert ended.value.code == Exit.WRONG_REQUEST
