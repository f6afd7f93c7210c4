"""The report in Markdown."""

import re
from collections.abc import Mapping, Sequence

import pandas as pd

from bench.records.record import RunRecord
from bench.report import circumstances as run_circumstances
from bench.report import (
    explanations,
    findings,
    frame,
    ladder,
    largest,
    notes,
    roofline,
    saturation,
    summary,
)
from bench.report.chart import Chart
from bench.report.findings import Findings
from bench.report.stage_findings import findings as stage_findings
from bench.stages import table as stages
from bench.tables import Column, as_markdown, escaped, filled
from bench.trust import assessment

STATUS = {
    status: f"**Partial:** {why}" if why else ""
    for status, why in run_circumstances.PARTIAL.items()
}


def render(run: RunRecord, charts: Sequence[Chart] = (), inside: pd.DataFrame | None = None) -> str:
    """Return the report: failures, findings, tables, explanations and circumstances.

    ``charts`` are the files ``charts/NAME.svg`` beside it; ``inside`` are the rows of
    ``stages.csv``.
    """
    environment, cells = run.environment, frame.summary(run)
    parts = [
        f"# {escaped(str(environment.get('device_name')))}, "
        f"PyTorch {escaped(str(environment.get('torch')))}",
        STATUS.get(run.status, escaped(run.status)),
        *(f"**Warning:** {escaped(sentence)}" for sentence in assessment.warnings(run)),
        *_failures(run),
    ]
    parts += _findings([*findings.find(run), *(() if inside is None else stage_findings(inside))])
    for title, rows in summary.groups(cells):
        parts += [f"## {escaped(title)}", as_markdown(summary.shown_columns(run, rows), rows)]
        parts += _pictures(charts, f"latency-{summary.slug(title)}")
    parts += [
        *_ladder(run, charts),
        *_throughput(run, charts),
        *_largest(run),
        *_inside(inside, charts),
    ]
    parts += _roofline(run, charts)
    parts += [*_trust(run), *_drift(charts), *_notes(run)]
    parts += [
        "## How to read this",
        explanations.how_to_read(run),
    ]
    parts += ["## Circumstances", *circumstances(run)]
    return "\n\n".join(part.strip() for part in parts if part) + "\n"


def _findings(groups: Sequence[Findings]) -> list[str]:
    parts = []
    for group in groups:
        sentences = "\n".join(f"- {escaped(sentence)}" for sentence in group.sentences)
        parts += [f"**{escaped(group.title)}**", sentences]
    return ["## Findings", *parts, explanations.FINDINGS] if parts else []


def _ladder(run: RunRecord, charts: Sequence[Chart]) -> list[str]:
    """Return the cost of each factor, and the interactions of two factors."""
    parts = []
    for title, rows in summary.grouped(ladder.frame(run)):
        parts += [f"### {escaped(title)}", as_markdown(ladder.STEP_COLUMNS, rows)]
        parts += _pictures(charts, f"ladder-{summary.slug(title)}")
    squares = ladder.interactions(run)
    if not squares.empty:
        parts += [
            "### Interactions of two factors",
            as_markdown(ladder.INTERACTION_COLUMNS, squares),
        ]
    return ["## One factor at a time", explanations.LADDER, *parts] if parts else []


def _largest(run: RunRecord) -> list[str]:
    rows = largest.frame(run)
    if rows.empty:
        return []
    return [
        "## The largest batch that fits",
        as_markdown(filled(largest.COLUMNS, rows), rows),
        explanations.LARGEST,
    ]


def _inside(inside: pd.DataFrame | None, charts: Sequence[Chart]) -> list[str]:
    """Return where the time goes in each network that ``googlenet-bench stages`` measured."""
    if inside is None:
        return []
    table = stages.render("markdown", inside)
    folded = f"<details><summary>Every stage and branch</summary>\n\n{table}\n\n</details>"
    return ["## Inside the network", *_pictures(charts, "stages-"), folded]


def _throughput(run: RunRecord, charts: Sequence[Chart]) -> list[str]:
    """Return the throughput against the batch size, and where it saturates."""
    parts, rows = _pictures(charts, "throughput-"), saturation.frame(run)
    if not rows.empty:
        parts += [as_markdown(filled(saturation.COLUMNS, rows), rows), explanations.SATURATION]
    return ["## Throughput against batch size", *parts] if parts else []


def _drift(charts: Sequence[Chart]) -> list[str]:
    pictures = "\n\n".join(_pictures(charts, "drift-"))
    title = "The samples, round by round"
    return [f"<details><summary>{title}</summary>\n\n{pictures}\n\n</details>"] if pictures else []


def _pictures(charts: Sequence[Chart], prefix: str) -> list[str]:
    """Return the charts whose names start with ``prefix``, each with its caption."""
    return [
        f"![{escaped(chart.title)}](charts/{chart.name}.svg)\n\n*{escaped(chart.caption)}*"
        for chart in charts
        if chart.name.startswith(prefix)
    ]


def _failures(run: RunRecord) -> list[str]:
    failed = frame.failures(run)
    if failed.empty:
        return []
    details = [
        f"<details><summary>stderr of {escaped(cell)}</summary>\n\n{fenced(stderr)}\n\n</details>"
        for cell, stderr in zip(failed["cell"], failed["stderr"], strict=True)
        if stderr
    ]
    return ["## Cells without figures", as_markdown(frame.FAILURE_COLUMNS, failed), *details]


def _notes(run: RunRecord) -> list[str]:
    lines = [f"- {escaped(note)}" for note in notes.collect(run)]
    return ["## Notes", "\n".join(lines)] if lines else []


def _roofline(run: RunRecord, charts: Sequence[Chart]) -> list[str]:
    """Return each cell's share of its device's limit, if that was measured."""
    ceilings, rows = roofline.ceilings(run), roofline.frame(run)
    if ceilings.empty or rows.empty:
        return []
    return [
        "## How far from the limit",
        as_markdown(filled(roofline.CEILING_COLUMNS, ceilings), ceilings),
        as_markdown(filled(roofline.COLUMNS, rows), rows),
        *_pictures(charts, "roofline-"),
        explanations.explain_roofline(run),
    ]


def _trust(run: RunRecord) -> list[str]:
    """Return the control, the precision and the voided rounds of each group."""
    groups = assessment.assess(run)
    if not groups:
        return []
    rows = assessment.table(groups)
    table = as_markdown(assessment.columns(rows), rows)
    return [
        "## Can this run be trusted?",
        table,
        explanations.TRUST,
        explanations.explain_trust(groups),
    ]


def circumstances(run: RunRecord) -> list[str]:
    """Return the command, the environment, the plan and the wall time of a run."""
    return [
        f"Command: {_code(str(run.plan.get('command')))}.",
        _pairs("fact", run_circumstances.facts(run)),
        _pairs("plan", run_circumstances.plan(run)),
        _pairs("wall time, s", run_circumstances.wall_time_s(run)),
        *_settings(run),
    ]


def _settings(run: RunRecord) -> list[str]:
    """Return the variables that workers started with and their reasons."""
    effect, rows = run_circumstances.environment_effect(run), run_circumstances.settings(run)
    if not effect:
        return []
    name = _code(str(run.plan.get("environment")))
    sentence = f"Workers started in the environment {name}: {effect}."
    return (
        [sentence]
        if rows.empty
        else [sentence, as_markdown(run_circumstances.SETTING_COLUMNS, rows)]
    )


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
    """Return ``text`` in a code fence that the text cannot close."""
    fence = _backticks(text, least=3)
    return f"{fence}\n{text}\n{fence}"


def _code(text: str) -> str:
    """Return ``text`` as a code span that the text cannot close."""
    quote = _backticks(text, least=1)
    inside = " ".join(text.split())
    return f"{quote} {inside} {quote}" if "`" in text else f"{quote}{inside}{quote}"


def _backticks(text: str, *, least: int) -> str:
    """Return at least ``least`` backticks, and more in a row than the text contains."""
    longest = max(map(len, re.findall("`+", text)), default=0)
    return "`" * max(least, longest + 1)
