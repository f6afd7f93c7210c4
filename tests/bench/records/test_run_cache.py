from dataclasses import replace

import pandas as pd

from bench.records.record import RunRecord
from bench.records.run_cache import cached_per_run
from bench.report import frame
from tests.bench import runs


def test_a_value_is_computed_once_per_run() -> None:
    calls: list[str] = []

    @cached_per_run
    def status(run: RunRecord) -> str:
        """Return the status."""
        calls.append(run.status)
        return run.status.upper()

    run = runs.small("complete")
    assert [status(run), status(run)] == ["COMPLETE", "COMPLETE"]
    assert calls == ["complete"]
    assert status(replace(run, status="interrupted")) == "INTERRUPTED"
    assert status.__doc__ == "Return the status."


def test_two_cached_functions_do_not_share_values() -> None:
    run = runs.small()
    assert not frame.summary(run).equals(frame.samples(run))


def test_callers_get_copies_of_frames() -> None:
    run = runs.small()
    before = frame.summary(run)
    changed = frame.summary(run)
    changed.insert(0, "mine", 1)
    pd.testing.assert_frame_equal(frame.summary(run), before)
    assert run == replace(run)  # cached values are not part of the record
