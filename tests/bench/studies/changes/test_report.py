from dataclasses import replace

from bench.studies.changes import report
from bench.studies.changes.study import LABELLED
from bench.studies.changes.trials import Row

ROW = Row(
    detector="ours",
    version="1.2",
    noise="normal",
    sd=0.005,
    case="unchanged",
    percent=0.0,
    series=100,
    alarmed=1,
    true=0,
    found=0,
    exact=0,
    reported=1,
    seconds=0.002,
)
STEP = replace(
    ROW, case="recent", percent=5.0, alarmed=2, true=100, found=98, exact=90, reported=100
)


def line(page: str, *starts: str) -> str:
    """Return the row of a table whose first values are these, without its spaces."""
    rows = (text.replace(" ", "") for text in page.splitlines() if text.startswith("|"))
    return next(text for text in rows if text.startswith(f"|{'|'.join(starts)}|"))


def test_false_alarms_are_rates_with_intervals() -> None:
    page = report.render([ROW, replace(ROW, case="watched", alarmed=4)])
    assert line(page, "normal") == ("|normal|0.50|ours|1%(0%–5%;1of100)|4%(1%–10%;4of100)|2.0|")
    assert "ours 1.2; level 1%, of the gate 0.05%." in page


def test_power_and_precision_are_those_of_the_counts() -> None:
    page = report.render([ROW, STEP])
    assert line(page, "recent") == (
        "|recent|+5|ours|98%(93%–100%;98of100)|92%(85%–96%;90of98)|98%(93%–100%;98of100)|"
    )
    assert "ours, a step of 5 % within 5 runs: found in 98% (93%–100%; 98 of 100) if up" in page


def test_only_noise_that_the_test_assumes_counts_in_the_summary() -> None:
    worse = replace(ROW, noise="autocorrelated", alarmed=60)
    (first, *_) = report.findings([ROW, worse])
    assert "an alarm in 1% (0%–5%; 1 of 100) at one look" in first


def test_labelled_series_have_a_table_of_their_own() -> None:
    page = report.render([ROW, replace(STEP, noise=LABELLED, case="step_function", percent=0.0)])
    assert line(page, "step\\_function").startswith("|step\\_function|ours|2%")
    assert "## Labelled series" not in report.render([ROW])
