"""The report in Markdown."""

import re
from collections.abc import Mapping

import pandas as pd

from bench.record import RunRecord
from bench.report import circumstances as about
from bench.report import frame, summary, trust
from bench.report.tables import Column, as_markdown, escaped

STATUS = {status: f"**Partial:** {why}" if why else "" for status, why in about.PARTIAL.items()}
HOW_TO_READ = """\
Latency is host time around a call, to the end of its work: the geometric mean over the sets of
their median; the machine's drift is in it, so that it is less sure than the ratios. p99 of fewer
than 100 samples is close to their largest. images/s is the batch size over the p50.

"×" is how many times as fast as the reference a cell is (over 1 is faster), or as the reference's
arch in the cell's own mode: the median over a set's rounds of the ratio within a round, where both
were visited moments apart, and the geometric mean over sets of fresh processes. In brackets stands
the 95 % interval, Student's t over the sets (Yuen's trimmed mean where eight or more have an
outlier among them): a difference that it contains has not been shown.

MACs are multiply-accumulates of convolutions, linear layers and other matrix products in a forward
pass; FLOPs = 2 × MACs. Compilation is in no latency: it is the first call's, cold where Inductor
had nothing in its cache, else warm. The output error is the relative L2 distance to fp32 eager's
output of the same weights and images; a cell past its dtype's bound (in summary.csv) fails.

Memory is the peak of weights and activations, without the interpreter and its libraries: on CUDA
the allocator's peak; on a CPU the bytes of parameters and buffers, and what the resident set grew
by, over its size at rest with all free memory given back, while the worker was warmed up and
measured. The whole resident set stands in summary.csv.
"""
TRUST = """\
The control is the reference measured a second time, in a worker of its own: its ratio should be 1,
and where the 99 % interval does not contain 1 nothing here is to be trusted. Sets were added until
every ratio's 95 % interval reached no further than the precision asked for, or time was up. A round
in which other processes kept the CPUs busy was voided whole, whatever its timing.
"""
FAILURE_COLUMNS = (
    Column(name="cell", heading="cell", is_text=True),
    Column(name="phase", heading="while", is_text=True),
    Column(name="kind", heading="kind", is_text=True),
    Column(name="reason", heading="reason", is_text=True),
)


def render(run: RunRecord) -> str:
    """The whole report: failures first, then the tables, then the circumstances."""
    on, cells = run.environment, frame.summary(run)
    parts = [
        f"# {escaped(str(on.get('device_name')))}, PyTorch {escaped(str(on.get('torch')))}",
        STATUS.get(run.status, escaped(run.status)),
        *(f"**Warning:** {escaped(sentence)}" for sentence in trust.warnings(run)),
        *_failures(run),
    ]
    for title, rows in summary.groups(cells):
        parts += [f"## {title}", as_markdown(summary.shown_columns(run, rows), rows)]
    parts += [*_trust(run), *_notes(run, cells)]
    parts += ["## How to read this", HOW_TO_READ]
    parts += ["## Circumstances", *circumstances(run)]
    return "\n\n".join(part.strip() for part in parts if part) + "\n"


def _failures(run: RunRecord) -> list[str]:
    failed = frame.failures(run)
    if failed.empty:
        return []
    details = [
        f"<details><summary>stderr of {escaped(cell)}</summary>\n\n{fenced(stderr)}\n\n</details>"
        for cell, stderr in zip(failed["cell"], failed["stderr"], strict=True)
        if stderr
    ]
    return ["## Cells without figures", as_markdown(FAILURE_COLUMNS, failed), *details]


def _notes(run: RunRecord, cells: pd.DataFrame) -> list[str]:
    notes = [f"- {escaped(note)}" for note in trust.notes(run, cells)]
    return ["## Notes", "\n".join(notes)] if notes else []


def _trust(run: RunRecord) -> list[str]:
    """What the run says of itself."""
    found = trust.of(run)
    if not found:
        return []
    table = as_markdown(trust.COLUMNS, trust.table(found))
    return ["## Can this run be trusted?", table, TRUST]


def circumstances(run: RunRecord) -> list[str]:
    """In what environment a run was made, by which plan, and where its time went."""
    return [
        f"Made by {_code(str(run.plan.get('command')))}.",
        _pairs("fact", about.facts(run)),
        _pairs("plan", about.plan(run)),
        _pairs("wall time, s", about.wall_time_s(run)),
        *_settings(run),
    ]


def _settings(run: RunRecord) -> list[str]:
    """What workers started with, each with its reason."""
    does, rows = about.what_workers_had(run), about.settings(run)
    if not does:
        return []
    name = _code(str(run.plan.get("environment")))
    what = f"Workers started in the environment {name}: {does}."
    return [what] if rows.empty else [what, as_markdown(about.SETTING_COLUMNS, rows)]


def _pairs(heading: str, values: Mapping[str, object]) -> str:
    rows = pd.DataFrame({"name": list(values), "value": [str(value) for value in values.values()]})
    return as_markdown(
        (
            Column(name="name", heading=heading, is_text=True),
            Column(name="value", heading="value", is_text=True),
        ),
        rows,
    )


def fenced(text: str) -> str:
    """Text in a code fence that it cannot close."""
    fence = _backticks(text, least=3)
    return f"{fence}\n{text}\n{fence}"


def _code(text: str) -> str:
    """Text in a line of code that it cannot close."""
    quote = _backticks(text, least=1)
    inside = " ".join(text.split())
    return f"{quote} {inside} {quote}" if "`" in text else f"{quote}{inside}{quote}"


def _backticks(text: str, *, least: int) -> str:
    """More backticks in a row than there are anywhere in the text."""
    longest = max(map(len, re.findall("`+", text)), default=0)
    return "`" * max(least, longest + 1)
