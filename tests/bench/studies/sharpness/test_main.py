from pathlib import Path

import pandas as pd
import pytest

from bench.exits import Exit
from bench.studies.sharpness import command as main
from bench.studies.sharpness import experiments, live, report
from bench.studies.sharpness.experiments import EXPERIMENTS

pytestmark = pytest.mark.workers


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "IMAGE_SIZE", 32)
    monkeypatch.setattr(main, "REFERENCE_ARCH", "tests.bench.broken:works")
    monkeypatch.setattr(experiments, "REFERENCE_ARCH", "tests.bench.broken:works")
    monkeypatch.setattr(experiments, "FAST", ("tests.bench.broken:prints",))


def test_the_page_and_all_iterations_are_written(tmp_path: Path) -> None:
    options = ["--experiments=first", "--repetitions=1", "--seconds=1", f"--report-dir={tmp_path}"]
    assert main.main(options) == Exit.FINE
    first = report.read(tmp_path / report.RAW_FILE)
    assert set(first["experiment"]) == {"first"}
    # Rows of other experiments are kept, and its own rows are replaced.
    earlier = first.assign(experiment="other")
    pd.concat([first, earlier]).to_csv(tmp_path / report.RAW_FILE, index=False)
    assert main.main(options) == Exit.FINE
    again = report.read(tmp_path / report.RAW_FILE)
    assert set(again["experiment"]) == {"first", "other"}
    others = again[again["experiment"] == "other"]
    assert others["seconds"].to_list() == earlier["seconds"].to_list()
    replaced = again[again["experiment"] == "first"]
    assert replaced["seconds"].to_list() != first["seconds"].to_list()
    assert (tmp_path / report.FILE).read_text().startswith("# What makes a ratio precise")


def test_an_unknown_experiment_is_refused_with_a_message(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main.main(["--experiments=spn"]) == Exit.WRONG_REQUEST
    assert "no experiment is called 'spn'" in capsys.readouterr().err
    assert EXPERIMENTS.keys() == {"spin", "first", "dropped", "processes"}


@pytest.mark.parametrize("option", ["--repetitions=0", "--seconds=x"])
def test_an_invalid_number_is_refused(option: str) -> None:
    with pytest.raises(SystemExit) as ended:
        main.main([option])
    assert ended.value.code == Exit.WRONG_REQUEST
