from dataclasses import replace

import pandas as pd

from bench.records.record import RunRecord
from bench.report import frame
from bench.report.run_cache import cached_per_run
from tests.bench import runs


def test_it_is_made_once_for_each_run() -> None:
    asked: list[str] = []

    @cached_per_run
    def status(run: RunRecord) -> str:
        """Of the run."""
        asked.append(run.status)
        return run.status.upper()

    run = runs.small("complete")
    assert [status(run), status(run)] == ["COMPLETE", "COMPLETE"]
    assert asked == ["complete"]
    assert status(replace(run, status="interrupted")) == "INTERRUPTED"
    assert status.__doc__ == "Of the run."


def test_two_functions_of_one_name_are_two() -> None:
    run = runs.small()
    assert not frame.summary(run).equals(frame.samples(run))


def test_whoever_changes_a_frame_changes_his_own() -> None:
    run = runs.small()
    before = frame.summary(run)
    changed = frame.summary(run)
    changed.insert(0, "mine", 1)
    pd.testing.assert_frame_equal(frame.summary(run), before)
    assert run == replace(run)  # what was made is no part of what was recorded
