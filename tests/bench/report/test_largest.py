from dataclasses import replace
from pathlib import Path

import pandas as pd

from bench.records.record import Attempt
from bench.report import files, largest, markdown
from bench.units import MIB
from tests.bench import runs


def test_each_has_what_fits_and_why_the_next_does_not() -> None:
    rows = largest.frame(runs.fitted())
    assert list(rows["largest_batch_size"]) == [64, 65_536, 0]
    assert list(rows["failed_batch_size"].fillna(0)) == [65, 0, 1]
    assert list(rows["held_bytes"].fillna(0)) == [900 * MIB, MIB, 0]
    assert list(rows["reason"]) == [
        runs.HOSTILE, "none larger than 65,536 is tried", "no such kernel",
    ]  # fmt: skip
    assert list(rows["attempts"]) == [3, 1, 1]


def test_it_is_told_in_sentences() -> None:
    ((title, sentences),) = largest.findings(runs.fitted())
    assert title == "fp32, infer, cpu: largest batch"
    assert sentences == (
        "googlenet in eager fits up to a batch of 64, alone on the device; one of 65 does not.",
        "googlenet in compile fits at batch 65,536, the largest that is tried.",
        "torchvision in eager does not fit at all: no such kernel.",
    )


def test_what_ended_the_search_for_another_reason_is_told() -> None:
    run = runs.fitted()
    tried = Attempt(batch_size=4, fits=True, held_bytes=1)
    broke = Attempt(batch_size=8, fits=False, reason="no kernel", is_error=True)
    found = replace(run, fits=(replace(run.fits[0], attempts=(tried, broke)),))
    ((_, (sentence,)),) = largest.findings(found)
    assert sentence == (
        "googlenet in eager: fits at batch 4; its largest batch is not known, because one of 8 "
        "failed for another reason than memory: no kernel."
    )
    (row,) = largest.frame(found).to_dict("records")
    assert row["reason"] == "not known: batch 8 failed for another reason than memory: no kernel"


def test_the_reports_have_it_where_it_was_looked_for(tmp_path: Path) -> None:
    assert tmp_path / "fit.csv" in files.write(runs.fitted(), tmp_path)
    assert list(pd.read_csv(tmp_path / "fit.csv")["largest_batch_size"]) == [64, 65_536, 0]
    assert "## The largest batch that fits" in (tmp_path / "report.md").read_text("utf-8")
    page = (tmp_path / "report.html").read_text("utf-8")
    assert 'id="largest"' in page
    assert "<script>alert(1)" not in page
    assert largest.frame(runs.small()).empty
    assert "largest batch" not in markdown.render(runs.small())
