from dataclasses import replace
from pathlib import Path

import pandas as pd

from bench.records.record import Attempt
from bench.report import files, largest
from bench.units import MIB
from tests.bench import runs
from tests.bench.report.rendered import markdown


def test_rows_have_the_largest_batch_and_the_reason_why_the_next_does_not_fit() -> None:
    rows = largest.frame(runs.fitted())
    assert list(rows["largest_batch_size"]) == [64, 65_536, 0]
    assert list(rows["failed_batch_size"].fillna(0)) == [65, 0, 1]
    assert list(rows["held_bytes"].fillna(0)) == [900 * MIB, MIB, 0]
    assert list(rows["reason"]) == [
        runs.HOSTILE, "nothing larger than 65,536 was tried", "no such kernel",
    ]  # fmt: skip
    assert list(rows["attempts"]) == [3, 1, 1]


def test_findings_state_the_largest_batches() -> None:
    ((title, sentences),) = largest.findings(runs.fitted())
    assert title == "fp32, infer, cpu: largest batch"
    assert sentences == (
        "googlenet in eager fits up to batch 64, alone on the device; batch 65 does not fit.",
        "googlenet in compile fits at batch 65,536, the largest size tried.",
        "torchvision in eager does not fit at all: no such kernel.",
    )


def test_a_search_that_ended_with_an_error_is_reported() -> None:
    run = runs.fitted()
    passed = Attempt(batch_size=4, fits=True, held_bytes=1)
    failed = Attempt(batch_size=8, fits=False, reason="no kernel", is_error=True)
    changed = replace(run, fits=(replace(run.fits[0], attempts=(passed, failed)),))
    ((_, (sentence,)),) = largest.findings(changed)
    assert sentence == (
        "googlenet in eager: fits at batch 4; its largest batch is unknown, because batch 8 "
        "failed for a reason other than memory: no kernel."
    )
    (row,) = largest.frame(changed).to_dict("records")
    assert row["reason"] == "unknown: batch 8 failed for a reason other than memory: no kernel"


def test_reports_have_the_largest_batch_if_it_was_searched_for(tmp_path: Path) -> None:
    assert tmp_path / "fit.csv" in files.write(runs.fitted(), tmp_path)
    assert list(pd.read_csv(tmp_path / "fit.csv")["largest_batch_size"]) == [64, 65_536, 0]
    assert "## The largest batch that fits" in (tmp_path / "report.md").read_text("utf-8")
    page = (tmp_path / "report.html").read_text("utf-8")
    assert 'id="largest"' in page
    assert "<script>alert(1)" not in page
    assert largest.frame(runs.small()).empty
    assert "largest batch" not in markdown(runs.small())
