"""The report in Markdown."""

import math
import re
from collections.abc import Mapping, Sequence

import pandas as pd

from bench import voiding
from bench.record import RunRecord
from bench.report import (
    bottleneck,
    findings,
    frame,
    ladder,
    largest,
    roofline,
    saturation,
    summary,
    trust,
)
from bench.report import circumstances as about
from bench.report.chart import Chart
from bench.report.findings import Findings
from bench.report.inside import findings as looked_into
from bench.report.tables import Column, as_markdown, escaped, filled
from bench.report.trust import Trust
from bench.stages import table as stages

STATUS = {status: f"**Partial:** {why}" if why else "" for status, why in about.PARTIAL.items()}
LATENCY = """\
Latency is host time around a call, to the end of its work: the geometric mean over the sets of
their median; the machine's drift is in it, so that it is less sure than the ratios. p99 of fewer
than 100 samples is close to their largest. images/s is the batch size over the latency.
"""
HOST_LATENCY = """\
Host latency is host time around a call, to the end of its work: the geometric mean over the sets of
their median; the machine's drift is in it, so that it is less sure than the ratios. p99 of fewer
than 100 samples is close to their largest.
"""
RATIOS = """\
"×" is how many times as fast as the reference a cell is (over 1 is faster), or as the reference's
arch in the cell's own mode: the median over a set's rounds of the ratio within a round, where both
were visited moments apart, and the geometric mean over sets of fresh processes. In brackets stands
the 95 % interval, Student's t over the sets (Yuen's trimmed mean where eight or more have an
outlier among them): a difference that it contains has not been shown.

MACs are multiply-accumulates of convolutions, linear layers and other matrix products in a forward
pass; FLOPs = 2 × MACs. Compilation is in no latency: it is the first call's, cold where Inductor
had nothing in its cache, else warm. The output error is the relative L2 distance to fp32 eager's
output of the same weights and images; a cell past its dtype's bound (in summary.csv) fails.
"""
MEMORY = """\
Memory is the peak of weights and activations, without the interpreter and its libraries: on CUDA
the allocator's peak; on a CPU the bytes of parameters and buffers, and what the resident set grew
by, over its size at rest with all free memory given back, while the worker was warmed up and
measured. The whole resident set stands in summary.csv.
"""
ALLOCATED = """\
Memory is the peak of weights and activations, as the device's allocator has it: what tensors take
(allocated), with nothing of the context and the libraries.
"""
RESERVED = """\
Where CUDA graphs are replayed, memory is the peak of what the allocator keeps (reserved), since a
graph never gives back what it works in; the two are not to be compared. So it is of {cells}.
"""
ENERGY = """\
J/image is what the whole card took, by its own counter, over the images of 2 s in which one worker
alone ran iterations one after the other, with no wait between them: the geometric mean over the
sets, in brackets its 95 % interval. Idle power is not subtracted: of a launch-bound cell much of it
is that. The L2 cache is not emptied in between.
"""
BACK_TO_BACK = """\
On this device a call returns before its work is done, so that there are three times, each its own.
Host latency, the first, is the host's clock around one call and the wait for its end. The device's
is the span between two events around the same call on the device; the time that it waited for the
host to launch something is in it. images/s is from blocks of iterations with no wait between them,
where there are any, and from the host latency where not: a column says which. Nothing empties the
L2 cache within a block, whatever --l2 says, so that weights may be found in it, though images are
taken in turn; host latency and the device's span are of the state that --l2 names. What is made of
blocks has warm weights too: images/s, "busy" and its share, bottleneck, saturation.

What an iteration keeps the device busy for ("busy") is measured while the device is held up until
all of it is enqueued, so that it never waits for the host. Over what an iteration takes in a
back-to-back block that is the share of the time in which the device works. Where its whole 95 %
interval lies under {least_busy} the cell is launch-bound: a faster host, CUDA graphs or a larger
batch would help it. Where it lies over, it is compute-bound: the device takes that long, for its
arithmetic or its memory. Else it is unclear.
"""
FINDINGS = """\
Only where the 95 % interval of a ratio does not contain 1 is a difference said to be shown; of
twenty comparisons of equal things one is shown by chance, so that where few are shown, most may be.
"""
SATURATION = """\
Saturated is the smallest batch whose throughput is within 5 % of the best of those measured. The
share of the best is taken within each set, and its interval over the sets: it is so by the
intervals where the whole of its own, and none of a smaller batch's, lies over 95 %, else by the
estimates alone. Neither is proof: batch sizes are measured minutes apart within a set, so that only
drift slower than a set cancels; and the best is picked from the same figures, so that it is rather
too high, and the shares too low.
"""
LARGEST = """\
Each size was tried in a fresh worker, alone on its device: three iterations on one batch of random
images, nothing checked. Sizes were doubled until one did not fit and then halved, down to a
thirty-second. None of them is measured here: a cell is alive beside its control and the reference,
and its answer is checked against fp32 eager's, all of which takes memory too.
"""
LADDER = """\
Each step changes one factor, in the same mode. Latency and images/s are what comes after over what
was before, with the 95 % interval; Δ ms is that of the latency before, taken as exact. An
interaction is the ratio of both factors together to the product of each alone: 1 where they add up.
"""
TRUST = """\
The control is the reference measured a second time, in a worker of its own: its ratio should be 1,
and where the 99 % interval does not contain 1 nothing here is to be trusted. Sets were added until
every ratio's 95 % interval reached no further than the precision asked for, or time was up. A round
in which other processes kept the CPUs busy was voided whole, whatever its timing.
"""
TRUST_CARD = """\
So was one in which the card was slowed down for its heat or by the power supply's alarm, and one in
which somebody else used it, as far as its driver tells. A card at its power limit is told of, and
counts.
"""
DISTURBED = f"""\
Of the other rounds an iteration is disturbed where its threads were ready for a CPU that others
had, by Linux's accounts for more than {voiding.MOST_WAITED:.0%} of its time. It does not count, and
was tried again, as often as there were iterations to be timed; where too few were left even so,
those disturbed least count. Where more threads ran than there are CPUs, as in training on a CPU,
nothing is known of that, and every iteration counts.
"""
_ROOFLINE = """\
The ceiling of a dtype is the best rate that large matrix products and convolutions of PyTorch's
own library reached in either memory format, in the threads that workers have, measured before the
first set; {rate}. What is attainable is the ceiling or, where that is less, the bandwidth of large
copies (bytes read and written) times the cell's MACs for each byte that it must move at the least:
its weights read once, and what its convolutions and products put out written once and read once.

A share over 100 % says that the machine was slower while its ceiling was measured than while the
cell was; or, of a cell bound by memory, that its activations stayed in a cache.
"""
_RATE = """\
a cell's rate is its multiply-accumulates over its latency, with the 95 % interval that
the latency has"""
_RATE_OF_BLOCKS = """\
a cell's rate is its multiply-accumulates for each image times its images/s, of
back-to-back blocks where there are any (in which nothing empties the L2 cache) and else at its host
latency, with the 95 % interval of either"""
FAILURE_COLUMNS = (
    Column(name="cell", heading="cell", is_text=True),
    Column(name="phase", heading="while", is_text=True),
    Column(name="kind", heading="kind", is_text=True),
    Column(name="reason", heading="reason", is_text=True),
)


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
    parts += _findings([*findings.of(run), *(() if inside is None else looked_into(inside))])
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
    parts += ["## How to read this", how_to_read(run), energy_note(cells)]
    parts += ["## Circumstances", *circumstances(run)]
    return "\n\n".join(part.strip() for part in parts if part) + "\n"


def how_to_read(run: RunRecord) -> str:
    """What the columns mean that this run has."""
    if not run.has_blocks:
        return "\n".join((LATENCY, RATIOS, MEMORY))
    back_to_back = BACK_TO_BACK.format(least_busy=f"{bottleneck.LEAST_BUSY:.0%}")
    return "\n".join((HOST_LATENCY, RATIOS, ALLOCATED, *_reserved(run), back_to_back))


def _reserved(run: RunRecord) -> list[str]:
    """A note that names the cells whose memory is what the allocator keeps."""
    named = [
        escaped(record.cell.id)
        for record in run.cells
        if record.has_figures and any(setup.get("memory_is_reserved") for setup in record.setups)
    ]
    return [RESERVED.format(cells=", ".join(named))] if named else []


def roofline_note(run: RunRecord) -> str:
    """What a rate and what is attainable are, and which times this run's rates are from."""
    return _ROOFLINE.format(rate=_RATE_OF_BLOCKS if run.has_blocks else _RATE)


def _findings(all_found: Sequence[Findings]) -> list[str]:
    parts = []
    for found in all_found:
        sentences = "\n".join(f"- {escaped(sentence)}" for sentence in found.sentences)
        parts += [f"**{escaped(found.title)}**", sentences]
    return ["## Findings", *parts, FINDINGS] if parts else []


def _ladder(run: RunRecord, charts: Sequence[Chart]) -> list[str]:
    """Each factor's cost, and whether two of them add up."""
    parts = []
    for title, rows in summary.grouped(ladder.frame(run)):
        parts += [f"### {escaped(title)}", as_markdown(ladder.STEP_COLUMNS, rows)]
        parts += _pictures(charts, f"ladder-{summary.slug(title)}")
    squares = ladder.interactions(run)
    if not squares.empty:
        parts += ["### Do they add up?", as_markdown(ladder.INTERACTION_COLUMNS, squares)]
    return ["## One factor at a time", LADDER, *parts] if parts else []


def _largest(run: RunRecord) -> list[str]:
    rows = largest.frame(run)
    if rows.empty:
        return []
    return [
        "## The largest batch that fits",
        as_markdown(filled(largest.COLUMNS, rows), rows),
        LARGEST,
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
        found += [as_markdown(filled(saturation.COLUMNS, rows), rows), SATURATION]
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
    return ["## Cells without figures", as_markdown(FAILURE_COLUMNS, failed), *details]


def _notes(run: RunRecord) -> list[str]:
    notes = [f"- {escaped(note)}" for note in trust.notes(run)]
    return ["## Notes", "\n".join(notes)] if notes else []


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
        roofline_note(run),
    ]


def _trust(run: RunRecord) -> list[str]:
    """What the run says of itself."""
    found = trust.of(run)
    if not found:
        return []
    rows = trust.table(found)
    table = as_markdown(trust.columns(rows), rows)
    return ["## Can this run be trusted?", table, TRUST, trust_note(found)]


def energy_note(cells: pd.DataFrame) -> str:
    """How the energy of ``cells`` was measured; empty where it was not."""
    return ENERGY if "energy_per_image_j" in cells else ""


def trust_note(found: Sequence[Trust]) -> str:
    """What else does not count, as far as a card's state and the scheduler's accounts are known."""
    known = (
        (TRUST_CARD, any(one.voided_by is not None for one in found)),
        (DISTURBED, not all(math.isnan(one.disturbed_share) for one in found)),
    )
    return "\n".join(text for text, is_known in known if is_known)


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
