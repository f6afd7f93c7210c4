"""The report in Markdown."""

import re

import pandas as pd

from bench.record import RunRecord
from bench.report import frame, summary
from bench.report.tables import Column, as_markdown, escaped

STATUS = {
    "complete": "",
    "over_budget": "**Partial:** the time budget was used up before everything was measured.",
    "interrupted": "**Partial:** the run was interrupted; these are the figures until then.",
}
HOW_TO_READ = """\
Latency is host time around a call, to the end of its work; p99 of fewer than 100 samples is close
to their largest. images/s is the batch size over the p50. "×" is how many times as fast as the
reference a cell is (over 1 is faster), the reference in eager or in the cell's own mode: the median
over rounds of the ratio within a round, where both were visited moments apart. MACs are
multiply-accumulates of convolutions, linear layers and other matrix products in a forward pass;
FLOPs = 2 × MACs. Compilation is in no latency: it is the first call's, cold where Inductor had
nothing in its cache, else warm. The output error is the relative L2 distance to fp32 eager's output
of the same weights and images; a cell past its dtype's bound fails.
"""
RESIDENT = """\
Resident memory is the worker's peak while it was warmed up and measured, interpreter and libraries
included ({before:,.0f} MiB before anything was built).
"""
_FAILURE_COLUMNS = (
    Column(name="cell", heading="cell", is_text=True),
    Column(name="phase", heading="while", is_text=True),
    Column(name="kind", heading="kind", is_text=True),
    Column(name="reason", heading="reason", is_text=True),
)


def render(run: RunRecord) -> str:
    """The whole report: failures first, then the tables, then the circumstances."""
    about = run.environment
    parts = [
        f"# {escaped(str(about.get('device_name')))}, PyTorch {escaped(str(about.get('torch')))}",
        STATUS.get(run.status, escaped(run.status)),
        *_failures(run),
    ]
    for title, rows in summary.groups(run):
        parts += [f"## {title}", as_markdown(summary.shown_columns(run, rows), rows)]
    parts += _notes(run)
    parts += ["## How to read this", HOW_TO_READ + _resident(run), *_circumstances(run)]
    return "\n\n".join(part.strip() for part in parts if part) + "\n"


def _failures(run: RunRecord) -> list[str]:
    failed = frame.failures(run)
    if failed.empty:
        return []
    details = [
        f"<details><summary>stderr of {escaped(cell)}</summary>\n\n{_fenced(stderr)}\n\n</details>"
        for cell, stderr in zip(failed["cell"], failed["stderr"], strict=True)
        if stderr
    ]
    return ["## Cells without figures", as_markdown(_FAILURE_COLUMNS, failed), *details]


def _notes(run: RunRecord) -> list[str]:
    """What a reader must know of single cells before trusting their figures."""
    rows = frame.summary(run).reindex(columns=["arch", "mode", "recompiled_graphs", "graph_breaks"])
    notes = [
        f"- {escaped(record.cell.id)}: {what}."
        for record, recompiled, breaks in zip(
            run.cells, rows["recompiled_graphs"], rows["graph_breaks"], strict=True
        )
        for count, what in (
            (recompiled, f"compiled {recompiled} more graphs while it was measured"),
            (breaks, f"its graph breaks {breaks} times"),
        )
        if count == count and count  # neither missing nor zero
    ]
    return ["## Notes", "\n".join(notes)] if notes else []


def _resident(run: RunRecord) -> str:
    before = frame.summary(run)["resident_before_build_bytes"].dropna()
    if before.empty:
        return ""
    return RESIDENT.format(before=before.max() / 2**20)


def _circumstances(run: RunRecord) -> list[str]:
    facts = {
        **{name: value for name, value in run.environment.items() if name != "variables"},
        **run.environment.get("variables", {}),
        "python": run.machine_info.get("python_version"),
        "system": f"{run.machine_info.get('system')} {run.machine_info.get('release')}",
        "commit": _commit(run),
        "measured at": run.datetime,
    }
    plan = {name: value for name, value in run.plan.items() if name != "command"}
    return [
        "## Circumstances",
        f"Made by {_code(str(run.plan.get('command')))}.",
        _pairs("fact", facts),
        _pairs("plan", plan),
        _pairs("wall time, s", {name: f"{spent:.1f}" for name, spent in run.phases_s.items()}),
    ]


def _commit(run: RunRecord) -> str:
    commit = str(run.commit_info.get("id") or "unknown")
    return commit[:12] + (" with uncommitted changes" if run.commit_info.get("dirty") else "")


def _pairs(heading: str, values: dict[str, object]) -> str:
    rows = pd.DataFrame({"name": list(values), "value": [str(value) for value in values.values()]})
    return as_markdown(
        (
            Column(name="name", heading=heading, is_text=True),
            Column(name="value", heading="value", is_text=True),
        ),
        rows,
    )


def _fenced(text: str) -> str:
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
