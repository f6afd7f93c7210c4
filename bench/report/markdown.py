"""The report in Markdown."""

import re
from collections.abc import Sequence

import pandas as pd

from bench import environment
from bench.record import RunRecord
from bench.report import findings, frame, ladder, roofline, summary, trust
from bench.report.chart import Chart
from bench.report.tables import Column, as_markdown, escaped, filled, scaled

STATUS = {
    "complete": "",
    "over_budget": "**Partial:** the time budget was used up before everything was measured.",
    "interrupted": "**Partial:** the run was interrupted; these are the figures until then.",
}
HOW_TO_READ = """\
Latency is host time around a call, to the end of its work; p99 of fewer than 100 samples is close
to their largest. images/s is the batch size over the p50. "×" is how many times as fast as the
reference a cell is (over 1 is faster), or as the reference's arch in the cell's own mode: the
median over a set's rounds of the ratio within a round, where both were visited moments apart, and
the geometric mean over sets of fresh processes. In brackets stands the 95 % interval, Student's t
over the sets (Yuen's trimmed mean where eight or more have an outlier among them): a difference
that it contains has not been shown. Latency is the geometric mean over the sets of their median;
the machine's drift is in it, so that it is less sure than the ratios. MACs are
multiply-accumulates of convolutions, linear layers and other matrix products in a forward pass;
FLOPs = 2 × MACs. Compilation is in no latency: it is the first call's, cold where Inductor had
nothing in its cache, else warm. The output error is the relative L2 distance to fp32 eager's output
of the same weights and images; a cell past its dtype's bound (in summary.csv) fails.
Memory is the peak of weights and activations, without the interpreter and its libraries: on CUDA
the allocator's peak; on a CPU the bytes of parameters and buffers, and what the resident set grew
by, over its size at rest with all free memory given back, while the worker was warmed up and
measured. The whole resident set stands in summary.csv.
"""
FINDINGS = """\
Only where the 95 % interval of a ratio does not contain 1 is a difference said to be shown; one
interval in twenty misses, so that of twenty such statements one is chance.
"""
LADDER = """\
Each step changes one factor, in the same mode. Latency and images/s are what comes after over what
was before, with the 95 % interval. An interaction is the ratio of both factors together to the
product of each alone: 1 where they add up.
"""
TRUST = """\
The control is the reference measured a second time, in a worker of its own: its ratio should be 1,
and where the 99 % interval does not contain 1 nothing here is to be trusted. Sets were added until
every ratio's 95 % interval reached no further than the precision asked for, or time was up. A round
in which other processes kept the CPUs busy was voided whole, whatever its timing.
"""
ROOFLINE = """\
The ceiling of a dtype is the best rate that large matrix products and convolutions of PyTorch's
own library reached in either memory format, in the threads that workers have, measured before the
first set; a cell's rate is its multiply-accumulates over its latency, with the 95 % interval that
the latency has. What is attainable is the ceiling or, where that is less, the bandwidth of large
copies (bytes read and written) times the cell's MACs for each byte that it must move at the least:
its weights read once, and what its convolutions and products put out written once and read once.

A share over 100 % says that the machine was slower while its ceiling was measured than while the
cell was; or, of a cell bound by memory, that its activations stayed in a cache.
"""
CONTAINS_1 = {True: "yes", False: "NO", None: "too few sets"}
_COUNTED = {
    "recompiled_graphs": "compiled {} more graphs while it was measured",
    "late_graph_breaks": "broke its graph {} more times while it was measured",
    "graph_breaks": "its graph breaks {} times",
}
_TRUST_COLUMNS = (
    Column(name="group", heading="cells", is_text=True),
    Column(name="reference", heading="reference", is_text=True),
    Column(name="control", heading="control ×", write=scaled(1, 3), bounded=True),
    Column(name="contains_1", heading="1 in its 99 %", is_text=True),
    Column(name="widest", heading="widest ratio ± %", write=scaled(100, 1)),
    Column(name="is_precise", heading="as precise as asked", is_text=True),
    Column(name="voided", heading="rounds voided"),
    Column(name="foreign_cpus", heading="foreign CPUs", write=scaled(1, 2)),
)
_FAILURE_COLUMNS = (
    Column(name="cell", heading="cell", is_text=True),
    Column(name="phase", heading="while", is_text=True),
    Column(name="kind", heading="kind", is_text=True),
    Column(name="reason", heading="reason", is_text=True),
)


def render(run: RunRecord, charts: Sequence[Chart] = ()) -> str:
    """The whole report: failures first, then what was found, the tables, and the circumstances.

    ``charts`` lie as ``charts/NAME.svg`` beside it.
    """
    about, cells = run.environment, frame.summary(run)
    parts = [
        f"# {escaped(str(about.get('device_name')))}, PyTorch {escaped(str(about.get('torch')))}",
        STATUS.get(run.status, escaped(run.status)),
        *(f"**Warning:** {escaped(sentence)}" for sentence in trust.warnings(run)),
        *_failures(run),
    ]
    parts += _findings(run)
    for title, rows in summary.groups(cells):
        parts += [f"## {title}", as_markdown(summary.shown_columns(run, rows), rows)]
        parts += _pictures(charts, f"latency-{summary.slug(title)}")
    parts += [*_ladder(run, charts), *_throughput(charts), *_roofline(run, charts)]
    parts += [*_trust(run), *_drift(charts), *_notes(run, cells)]
    parts += ["## How to read this", HOW_TO_READ]
    parts += ["## Circumstances", *circumstances(run)]
    return "\n\n".join(part.strip() for part in parts if part) + "\n"


def _findings(run: RunRecord) -> list[str]:
    parts = []
    for found in findings.of(run):
        sentences = "\n".join(f"- {escaped(sentence)}" for sentence in found.sentences)
        parts += [f"**{escaped(found.title)}**", sentences]
    return ["## Findings", *parts, FINDINGS] if parts else []


def _ladder(run: RunRecord, charts: Sequence[Chart]) -> list[str]:
    """Each factor's cost, and whether two of them add up."""
    parts = []
    for title, rows in summary.grouped(ladder.frame(run)):
        parts += [f"### {title}", as_markdown(ladder.STEP_COLUMNS, rows)]
        parts += _pictures(charts, f"ladder-{summary.slug(title)}")
    squares = ladder.interactions(run)
    if not squares.empty:
        parts += ["### Do they add up?", as_markdown(ladder.INTERACTION_COLUMNS, squares)]
    return ["## One factor at a time", LADDER, *parts] if parts else []


def _throughput(charts: Sequence[Chart]) -> list[str]:
    found = _pictures(charts, "throughput-")
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
    return ["## Cells without figures", as_markdown(_FAILURE_COLUMNS, failed), *details]


def _notes(run: RunRecord, cells: pd.DataFrame) -> list[str]:
    """What a reader must know of single cells before trusting their figures."""
    rows = cells.reindex(columns=list(_COUNTED))
    notes = [f"- {escaped(note)}" for note in run.notes] + [
        f"- {escaped(record.cell.id)}: {what.format(int(row[name]))}."
        for record, row in zip(run.cells, rows.to_dict("records"), strict=True)
        for name, what in _COUNTED.items()
        if pd.notna(row[name]) and row[name]
    ]
    return ["## Notes", "\n".join(notes)] if notes else []


def _roofline(run: RunRecord) -> list[str]:
    """Each cell under what its device does, where that was measured."""
    ceilings, rows = roofline.ceilings(run), roofline.frame(run)
    if ceilings.empty or rows.empty:
        return []
    return [
        "## How far from the limit",
        as_markdown(filled(roofline.CEILING_COLUMNS, ceilings), ceilings),
        as_markdown(filled(roofline.COLUMNS, rows), rows),
        ROOFLINE,
    ]


def _trust(run: RunRecord) -> list[str]:
    """What the run says of itself."""
    found = trust.of(run)
    if not found:
        return []
    rows = pd.DataFrame(
        {
            "group": one.group,
            "reference": one.reference,
            "control": one.control.estimate,
            "control_low": one.control.low,
            "control_high": one.control.high,
            "contains_1": CONTAINS_1[one.control_contains_1],
            "widest": one.widest,
            "is_precise": "yes" if one.is_precise else "no: no time for more sets",
            "voided": f"{one.voided_share:.0%} of {one.rounds}",
            "foreign_cpus": one.foreign_cpus,
        }
        for one in found
    )
    return ["## Can this run be trusted?", as_markdown(_TRUST_COLUMNS, rows), TRUST]


def circumstances(run: RunRecord) -> list[str]:
    """In what environment a run was made, by which plan, and where its time went."""
    facts = {
        **{name: value for name, value in run.environment.items() if name != "variables"},
        **run.environment.get("variables", {}),
        "system": f"{run.machine_info.get('system')} {run.machine_info.get('release')}",
        "commit": _commit(run),
        "measured at": run.datetime,
    }
    plan = {name: value for name, value in run.plan.items() if name != "command"}
    return [
        f"Made by {_code(str(run.plan.get('command')))}.",
        _pairs("fact", facts),
        _pairs("plan", plan),
        _pairs("wall time, s", {name: f"{spent:.1f}" for name, spent in _wall_time(run).items()}),
        *_settings(run),
    ]


def _wall_time(run: RunRecord) -> dict[str, float]:
    return {**run.phases_s, "in all": sum(run.phases_s.values())}


def _settings(run: RunRecord) -> list[str]:
    """What workers started with, each with its reason."""
    name = str(run.plan.get("environment"))
    if name not in environment.NAMES:
        return []
    rows = pd.DataFrame(
        [
            {"name": setting.name, "value": set_to, "reason": setting.reason}
            for setting in environment.settings(name)
            if (set_to := run.environment.get("variables", {}).get(setting.name)) is not None
        ],
        columns=["name", "value", "reason"],
    )
    what = f"Workers started in the environment {_code(name)}: {environment.NAMES[name]}."
    if rows.empty:
        return [what]
    columns = tuple(Column(name=column, heading=column, is_text=True) for column in rows.columns)
    return [what, as_markdown(columns, rows)]


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
