"""The report in Markdown."""

import re
from collections.abc import Mapping, Sequence

import pandas as pd

from bench.records.record import RunRecord
from bench.report import circumstances as about
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
    trust,
)
from bench.report.chart import Chart
from bench.report.findings import Findings
from bench.report.stage_findings import findings as looked_into
from bench.stages import table as stages
from bench.tables import Column, as_markdown, escaped, filled

STATUS = {status: f"**Partial:** {why}" if why else "" for status, why in about.PARTIAL.items()}


def render(run: RunRecord, charts: Sequence[Chart] = (), inside: pd.DataFrame | None = None) -> str:
    """The whole report: failures first, then what was found, the tables, and the circumstances.

    ``charts`` lie as ``charts/NAME.svg`` beside it; ``inside`` is what ``stages.csv`` holds.
    """
    on, cells = run.environment, frame.summary(run)
    parts = [
        f"# {escaped(str(on.get('device_name')))}, PyTorch {escaped(str(on.get('torch')))}",
        STATUS.get(run.status, escaped(run.status)),
        *(f"**Warning:** {escaped(sentence)}" for sentence in trust.warnings(run)),
        *_failures(run),
    ]
    parts += _findings([*findings.find(run), *(() if inside is None else looked_into(inside))])
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
    parts += ["## How to read this", explanations.how_to_read(run), explanations.of_energy(cells)]
    parts += ["## Circumstances", *circumstances(run)]
    return "\n\n".join(part.strip() for part in parts if part) + "\n"


def _findings(all_found: Sequence[Findings]) -> list[str]:
    parts = []
    for found in all_found:
        sentences = "\n".join(f"- {escaped(sentence)}" for sentence in found.sentences)
        parts += [f"**{escaped(found.title)}**", sentences]
    return ["## Findings", *parts, explanations.FINDINGS] if parts else []


def _ladder(run: RunRecord, charts: Sequence[Chart]) -> list[str]:
    """Each factor's cost, and whether two of them add up."""
    parts = []
    for title, rows in summary.grouped(ladder.frame(run)):
        parts += [f"### {escaped(title)}", as_markdown(ladder.STEP_COLUMNS, rows)]
        parts += _pictures(charts, f"ladder-{summary.slug(title)}")
    squares = ladder.interactions(run)
    if not squares.empty:
        parts += ["### Do they add up?", as_markdown(ladder.INTERACTION_COLUMNS, squares)]
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
    """Where the time goes, of those networks that were looked into."""
    if inside is None:
        return []
    table = stages.render("markdown", inside)
    folded = f"<details><summary>Every stage and branch</summary>\n\n{table}\n\n</details>"
    return ["## Inside the network", *_pictures(charts, "stages-"), folded]


def _throughput(run: RunRecord, charts: Sequence[Chart]) -> list[str]:
    """How much a larger batch gains, and where that ends."""
    found, rows = _pictures(charts, "throughput-"), saturation.frame(run)
    if not rows.empty:
        found += [as_markdown(filled(saturation.COLUMNS, rows), rows), explanations.SATURATION]
    return ["## Throughput against batch size", *found] if found else []


def _drift(charts: Sequence[Chart]) -> list[str]:
    found = "\n\n".join(_pictures(charts, "drift-"))
    title = "The samples, round by round"
    return [f"<details><summary>{title}</summary>\n\n{found}\n\n</details>"] if found else []


def _pictures(charts: Sequence[Chart], prefix: str) -> list[str]:
    """Charts whose names begin so, each with its caption."""
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
    said = [f"- {escaped(note)}" for note in notes.collect(run)]
    return ["## Notes", "\n".join(said)] if said else []


def _roofline(run: RunRecord, charts: Sequence[Chart]) -> list[str]:
    """Each cell under what its device does, where that was measured."""
    ceilings, rows = roofline.ceilings(run), roofline.frame(run)
    if ceilings.empty or rows.empty:
        return []
    return [
        "## How far from the limit",
        as_markdown(filled(roofline.CEILING_COLUMNS, ceilings), ceilings),
        as_markdown(filled(roofline.COLUMNS, rows), rows),
        *_pictures(charts, "roofline-"),
        explanations.of_roofline(run),
    ]


def _trust(run: RunRecord) -> list[str]:
    """What the run says of itself."""
    found = trust.assess(run)
    if not found:
        return []
    rows = trust.table(found)
    table = as_markdown(trust.columns(rows), rows)
    return ["## Can this run be trusted?", table, explanations.TRUST, explanations.of_trust(found)]


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
