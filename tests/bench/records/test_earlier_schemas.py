"""Run files of earlier schema versions. Expected figures are those that the versions printed."""

import json
from pathlib import Path

import pytest

from bench.records import earlier_schemas, store
from bench.records.record import SCHEMA_VERSION
from bench.report import frame
from bench.trust import assessment

SCHEMA_1 = Path(__file__).with_name("files") / "schema-1.json"
SCHEMA_2 = Path(__file__).parents[1] / "report" / "golden" / "run.json"
# Median latency of all samples in seconds, and speedup over torchvision in eager, in the
# summary.csv that version 1 wrote beside this run file.
PRINTED_BY_1 = {
    ("googlenet", "eager"): (0.05788675499979945, 0.9211275432068035),
    ("googlenet", "channels_last"): (0.03211998400001903, 1.7244390923782067),
    ("torchvision", "eager"): (0.05489655750034217, 1.0),
    ("torchvision", "channels_last"): (0.03036347499983094, 1.8293630555619504),
}


def version(path: Path) -> int:
    content = json.loads(path.read_text(encoding="utf-8"))
    number: int = content["machine_info"][store.RUN_KEY]["schema_version"]
    return number


def test_there_is_a_file_of_each_earlier_version() -> None:
    assert [version(SCHEMA_1), version(SCHEMA_2), SCHEMA_VERSION] == [*earlier_schemas.READABLE]


def test_a_file_of_version_1_has_the_figures_that_were_printed() -> None:
    rows = frame.summary(store.read(SCHEMA_1)).set_index(["arch", "mode"])
    assert set(rows.index) == set(PRINTED_BY_1)
    for cell, expected in PRINTED_BY_1.items():
        figures = rows.loc[cell, ["latency_p50_s", "speedup_over_reference"]]
        assert list(figures) == pytest.approx(expected, rel=1e-12)


def test_a_file_of_version_1_says_that_its_validity_is_unknown() -> None:
    run = store.read(SCHEMA_1)
    assert run.notes == (earlier_schemas.FROM_1,)
    assert not assessment.assess(run)
    assert (run.run_id, run.code, run.rounds) == ("", None, ())


def test_a_file_of_version_2_has_no_id_and_no_hosts() -> None:
    run = store.read(SCHEMA_2)
    assert (run.run_id, run.code) == ("", None)
    assert {visit.host for record in run.cells for visit in record.visits} == {""}


@pytest.mark.parametrize("path", [SCHEMA_1, SCHEMA_2])
def test_an_earlier_file_is_written_again_in_the_present_version(
    path: Path, tmp_path: Path
) -> None:
    run = store.read(path)
    store.write(run, tmp_path / "run.json")
    assert version(tmp_path / "run.json") == SCHEMA_VERSION
    assert store.read(tmp_path / "run.json") == run
