"""The study runs, on a small history."""

import json
from pathlib import Path

import pytest

from bench.history.store import open_store
from bench.records import store as run_files
from bench.studies.history import command, synthetic
from tests.bench.history import made


@pytest.mark.slow
def test_a_small_history_is_filled_and_timed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "REPETITIONS", 1)
    run_files.write(made.run(0), tmp_path / "run.json")
    place = str(tmp_path / "history.db")
    options = ["--runs=5", "--cells=9", f"--run={tmp_path / 'run.json'}", f"--history={place}"]
    assert command.main([*options, "--format=json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert rows[0]["what"] == "fill with 5 runs of 9 cells"
    assert all(row["worst_s"] >= row["median_s"] > 0 for row in rows)
    found = open_store(place)
    assert found.count() == 5 + 1 + 1  # filled, added, and added by the command
    assert found.run("latest").cells[-1].cell.startswith("torchvision-copy-1/")


def test_cells_are_copied_under_other_names() -> None:
    run = made.run(0)
    wide = synthetic.widened(run, 2 * len(run.cells) + 1)
    assert len({record.cell.id for record in wide.cells}) == 2 * len(run.cells) + 1
    assert wide.cells[: len(run.cells)] == run.cells
