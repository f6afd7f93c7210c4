"""The report of the study, ``history-changes.md``; a pure function of the rows."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pandas as pd

from bench.columns import Column, scaled
from bench.history import judge
from bench.history.changes import LEVEL
from bench.studies.changes import labelled
from bench.studies.changes.cases import AFTER, RUNS
from bench.studies.changes.noise import ASSUMED, NOISY, SETS
from bench.studies.changes.study import IN_ORDER, LABELLED, names
from bench.studies.changes.trials import FIRST_LOOK, TOLERANCE, Row
from bench.studies.power.rates import Rate
from bench.studies.power.report import rate
from bench.tables import as_markdown

FILE = "history-changes.md"
ROWS_FILE = "history-changes.csv"

INTRODUCTION = """\
How often the search for changes in a history (`bench/history/changes.py`) raises a false alarm, and
how often it misses a change, beside [asv](https://asv.readthedocs.io)'s step detection and
[Apache Otava](https://otava.apache.org), each with its defaults. A value is the logarithm of a
run's ratio to its reference. Each rate has its 95 % interval (Clopper and Pearson) and its count.
All detectors see the same series.
"""
NOISE = f"""\
- *A/A sets*: the mean of {SETS} successive sets of two equal networks, as measured for
  `gate-power.md`, drawn at random.
- *normal*, *heavy tails* (Student's t with three degrees of freedom): the standard deviation that
  the mean of so many independent sets would have.
- *noisy*: normal, with {NOISY:g} times that.
- *autocorrelated*: normal, each value correlated by 0.5 with the one before. It breaks the
  assumption of the test.
- *{IN_ORDER}*: rounds of two live workers with one network, in the order in which they were
  measured for `sharpness.md`: real dependence, but of rounds and not of runs.
"""
UNCHANGED = f"""\
Series of {RUNS} runs in which nothing changes. *One look*: series with any reported change at their
end. *A look after every run*: series with any reported change at any look, from {FIRST_LOOK} runs
on, as in CI.
"""
STEPS = f"""\
Series of {RUNS} runs. *recent*: the level changes {AFTER} runs before the end. *middle*: in the
middle. *fixed*: it changes after 20 runs and back after 10 more, which is two changes. *Found*:
reported with the right direction, at most {TOLERANCE} runs away. *Exact*: of those, at the right
run. *Precision*: reported changes that are true ones.
"""
LABELLED_TEXT = f"""\
Series of {labelled.LENGTH} values from the generators of the package `otava-test-data`, with their
defaults and, where they take it, a noise of {labelled.SIGMA:g} % of the level. A detector should
report changes of level, and nothing else: outliers, changes of variance and of phase, and values
that alternate at random between two levels (*banding*) count as unchanged. *Alarmed*: series with a
reported change that is none.
"""
REPEAT = """\
`nox -s changes -- --again` simulates all series again, with the same random numbers, from the A/A
data in this repository, and writes this page and its rows. Without `--again`, it adds the rows that
are missing.
"""
_PERCENT = scaled(100, 2)
_SECONDS = scaled(1e3, 1)


def render(rows: Sequence[Row]) -> str:
    """Return the page, in Markdown."""
    versions = dict.fromkeys(f"{row.detector} {row.version}" for row in rows)
    parts = [
        "# Changes in a history: error rates",
        f"{', '.join(versions)}; level {LEVEL:.0%}, of the gate {judge.LEVEL:.2%}.",
        INTRODUCTION,
        *(f"- {sentence}" for sentence in findings(rows)),
        "## Noise",
        NOISE,
        "## Unchanged series",
        UNCHANGED,
        _table(_UNCHANGED_COLUMNS, _unchanged(rows)),
        "## Changes",
        STEPS,
        *_step_tables(rows),
    ]
    if any(row.noise == LABELLED for row in rows):
        parts += ["## Labelled series", LABELLED_TEXT, _table(_LABELLED_COLUMNS, _labelled(rows))]
    parts += ["## How to repeat it", REPEAT, f"Rows: [{ROWS_FILE}]({ROWS_FILE})."]
    text = "\n\n".join(part.strip() for part in parts)
    return text.replace("\n\n- ", "\n- ") + "\n"


def findings(rows: Sequence[Row]) -> list[str]:
    """Return the main rates of each detector, in sentences."""
    sentences = []
    for name in names(rows):
        own = [row for row in rows if row.detector == name and row.noise in ASSUMED]
        alarms = _rate(own, "alarmed", "series", lambda row: row.case == "unchanged")
        watched = _rate(own, "alarmed", "series", lambda row: row.case == "watched")
        sentences.append(
            f"{name}, unchanged series: an alarm in {rate(alarms)} at one look, and in "
            f"{rate(watched)} with a look after every run."
        )
        for percent in (2, 5, 10):
            slower, faster = (
                _rate(own, "found", "true", _is_recent(sign * percent)) for sign in (1, -1)
            )
            sentences.append(
                f"{name}, a step of {percent} % within {AFTER} runs: found in {rate(slower)} if "
                f"up, and in {rate(faster)} if down."
            )
    return sentences


def _is_recent(percent: float) -> Callable[[Row], bool]:
    return lambda row: row.case == "recent" and abs(row.percent - percent) < 1e-6


def _rate(rows: Sequence[Row], count: str, total: str, chosen: Callable[[Row], bool]) -> Rate:
    counted = [row for row in rows if chosen(row)]
    return Rate(
        count=sum(getattr(row, count) for row in counted),
        total=sum(getattr(row, total) for row in counted),
    )


def _table(columns: tuple[Column, ...], rows: Iterator[dict[str, Any]]) -> str:
    return as_markdown(columns, pd.DataFrame(rows))


_UNCHANGED_COLUMNS = (
    Column(name="noise", heading="noise", is_text=True),
    Column(name="sd", heading="sd of a run %", write=_PERCENT),
    Column(name="detector", heading="detector", is_text=True),
    Column(name="one_look", heading="alarm, one look", is_text=True),
    Column(name="every_run", heading="alarm, a look after every run", is_text=True),
    Column(name="seconds", heading="ms per look", write=_SECONDS),
)
_STEP_COLUMNS = (
    Column(name="case", heading="change", is_text=True),
    Column(name="percent", heading="%", write=lambda value: f"{value:+g}".replace("-", "−")),
    Column(name="detector", heading="detector", is_text=True),
    Column(name="found", heading="found", is_text=True),
    Column(name="exact", heading="exact", is_text=True),
    Column(name="precision", heading="precision", is_text=True),
)
_LABELLED_COLUMNS = (
    Column(name="case", heading="generator", is_text=True),
    Column(name="detector", heading="detector", is_text=True),
    Column(name="alarmed", heading="alarmed", is_text=True),
    Column(name="found", heading="found", is_text=True),
    Column(name="precision", heading="precision", is_text=True),
)


def _unchanged(rows: Sequence[Row]) -> Iterator[dict[str, Any]]:
    for row in _by_noise(rows):
        if row.case == "unchanged":
            watched = [
                other
                for other in rows
                if (other.noise, other.detector, other.case) == (row.noise, row.detector, "watched")
            ]
            yield {
                "noise": row.noise,
                "sd": row.sd or float("nan"),
                "detector": row.detector,
                "one_look": rate(Rate(count=row.alarmed, total=row.series)),
                "every_run": rate(_rate(watched, "alarmed", "series", lambda _: True)),
                "seconds": row.seconds,
            }


def _by_noise(rows: Sequence[Row]) -> list[Row]:
    noises = list(dict.fromkeys(row.noise for row in rows if row.noise != LABELLED))
    kept = [row for row in rows if row.noise != LABELLED]
    return sorted(kept, key=lambda row: noises.index(row.noise))


def _step_tables(rows: Sequence[Row]) -> Iterator[str]:
    for noise in dict.fromkeys(row.noise for row in rows):
        of_noise = [row for row in rows if row.noise == noise != LABELLED and row.percent]
        if of_noise:
            yield f"**{noise[0].upper()}{noise[1:]}**"
            yield _table(_STEP_COLUMNS, _steps(of_noise))


def _steps(rows: Sequence[Row]) -> Iterator[dict[str, Any]]:
    cases = list(dict.fromkeys((row.case, row.percent) for row in rows))
    for row in sorted(rows, key=lambda row: cases.index((row.case, row.percent))):
        yield {"percent": row.percent, **_accuracy(row)}


def _labelled(rows: Sequence[Row]) -> Iterator[dict[str, Any]]:
    of_package = [row for row in rows if row.noise == LABELLED]
    cases = list(dict.fromkeys(row.case for row in of_package))
    for row in sorted(of_package, key=lambda row: cases.index(row.case)):
        yield {"alarmed": rate(Rate(count=row.alarmed, total=row.series)), **_accuracy(row)}


def _accuracy(row: Row) -> dict[str, Any]:
    return {
        "case": row.case,
        "detector": row.detector,
        "found": rate(Rate(count=row.found, total=row.true)),
        "exact": rate(Rate(count=row.exact, total=row.found)),
        "precision": rate(Rate(count=row.found, total=row.reported)),
    }
