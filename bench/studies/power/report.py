"""The report of the gate's error rates, ``gate-power.md``; a pure function of the rows."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import partial
from itertools import groupby
from statistics import mean, median
from typing import Any

import pandas as pd

from bench.columns import Column, scaled
from bench.gate.group_sequential import Settings
from bench.gate.verdict import Verdict
from bench.studies.power.cases import PROTOCOL
from bench.studies.power.end_to_end import ARCH, GateRow
from bench.studies.power.rates import CELLS, Power, Rate, Series, powers
from bench.studies.power.sets import SetRow
from bench.tables import as_markdown
from bench.units import counted

FILE = "gate-power.md"
SETS_FILE = "gate-power-sets.csv"
GATES_FILE = "gate-power-gates.csv"

INTERVAL_SETS = (3, 8)  # of the quick profile, and of the committed run
PERCENT = scaled(100, 1)
INJECTED = {
    "none": "nothing",
    "conv": "convolutions whose output feeds the result",
    "python": "work of the Python interpreter",
    "stutter": "one slow forward in ten",
    "break": "graph breaks",
}
INTRODUCTION = """\
How often `googlenet-bench gate` raises a false alarm and how often it misses a slowdown, measured
with GoogLeNet on this machine. Each rate has its 95 % interval (Clopper and Pearson) and its count.
"""
SETS = """\
Sets of fresh forked workers, with the networks with and without the injection alive together. The
gate's decision code judged disjoint groups of consecutive sets. Each group is as long as a gate
would have measured, and counts as one of {cells} cells. *Intended* is the slowdown that the
injection was calibrated for. *Slower by* is the slowdown measured over all sets; compare verdicts
with this one. *Set sd* is the standard deviation of the log-ratio of one set. Workers of one mode
are visited one after the other, so up to four others are visited between the two that are compared.
In a gate these two are neighbours, and sets scatter less.
"""
GATES = """\
Gates run as CI runs them, from the command to its exit code, each on a new repository. A gate has
one cell, or six like the default gate, and compares uncommitted changes with the last commit. Exit
code 1 is a regression, 0 is no regression, 3 is inconclusive. *Intended* is the slowdown that the
injection was calibrated for, and *measured* is the geometric mean of the gates' ratios. On a
*loaded* machine, another process multiplies matrices on two threads.
"""
_SETS_COLUMNS = (
    Column(name="added", heading="added", is_text=True),
    Column(name="mode", heading="mode", is_text=True),
    Column(name="percent", heading="intended %", write=lambda value: f"{value:g}"),
    Column(name="effect", heading="slower by %", write=PERCENT, bounded=True),
    Column(name="sd", heading="set sd %", write=PERCENT),
    Column(name="sets", heading="sets"),
    Column(name="used", heading="sets per gate", write=scaled(1, 1)),
    Column(name="gates", heading="gates"),
    *(
        Column(name=verdict.value, heading=f"{verdict.value} %", is_text=True)
        for verdict in (
            Verdict.REGRESSED,
            Verdict.UNCHANGED,
            Verdict.INCONCLUSIVE,
            Verdict.IMPROVED,
        )
    ),
)
_GATES_COLUMNS = (
    Column(name="load", heading="machine", is_text=True),
    Column(name="mode", heading="mode", is_text=True),
    Column(name="protocol", heading="protocol", is_text=True),
    Column(name="percent", heading="intended %", write=lambda value: f"{value:g}"),
    Column(name="measured", heading="measured %", write=PERCENT),
    Column(name="gates", heading="gates"),
    Column(name="exit_1", heading="exit 1 %", is_text=True),
    Column(name="exit_0", heading="exit 0 %", is_text=True),
    Column(name="exit_3", heading="exit 3 %", is_text=True),
    Column(name="seconds", heading="seconds, median", write=scaled(1, 0)),
    Column(name="sets", heading="sets per cell, median", write=scaled(1, 0)),
)


def render(
    machine: str, sets: Sequence[SetRow], gates: Sequence[GateRow], settings: Settings
) -> str:
    """Return the page of one machine, in Markdown."""
    results = powers(sets, settings)
    torches = sorted({row.torch for row in sets} | {row.torch for row in gates})
    parts = [
        "# The gate's own error rates",
        f"{machine}, PyTorch {', '.join(torches)}; δ {settings.delta:.0%}, α {settings.alpha:.0%}.",
        INTRODUCTION,
        *(f"- {sentence}" for sentence in findings(results, gates, settings.delta)),
    ]
    if results:
        parts += [
            "## Verdicts on groups of sets",
            SETS.format(cells=CELLS),
            *_by_series(results, sets),
            f"Raw: [{SETS_FILE}]({SETS_FILE}).",
        ]
    if gates:
        parts += [
            "## Gates, end to end",
            GATES,
            as_markdown(_GATES_COLUMNS, pd.DataFrame(_gate_rows(gates))),
            f"Raw: [{GATES_FILE}]({GATES_FILE}).",
        ]
    text = "\n\n".join(part.strip() for part in parts)
    return text.replace("\n\n- ", "\n- ") + "\n"


def findings(results: Iterable[Power], gates: Iterable[GateRow], delta: float) -> list[str]:
    """Return the main rates of the gate's present protocol, in sentences."""
    current = [power for power in results if not power.series.is_outdated]
    sentences = []
    for series, group in groupby(current, key=lambda power: power.series):
        in_series = list(group)
        same = [power for power in in_series if power.case.is_same]
        if _sum(power.rate(Verdict.REGRESSED) for power in same).total:
            regressed, undecided = (
                rate(_sum(power.rate(verdict) for power in same))
                for verdict in (Verdict.REGRESSED, Verdict.INCONCLUSIVE)
            )
            sentences.append(
                f"A/A, {series.load}: {regressed} of the verdicts on a cell were `regressed`, and "
                f"{undecided} were `inconclusive`."
            )
        sentences += [
            f"A/A, {series.load}: the 95 % interval of a ratio over {sets} sets, as reports show "
            f"it, contained 1 in {rate(covered)}."
            for sets in INTERVAL_SETS
            if (covered := _sum(power.coverage(sets) for power in same)).total
        ]
        slowed = [power for power in in_series if power.judgements and not power.case.is_same]
        sentences += map(partial(_detection, delta=delta), sorted(slowed, key=_size))
    return sentences + [
        f"End to end, {row['load']}, {row['percent']:g} % intended in {row['mode']}"
        f"{_measured(row['measured'])}: exit code 1 in {row['exit_1']}, "
        f"0 in {row['exit_0']}, 3 in {row['exit_3']}."
        for row in _gate_rows(gate for gate in gates if gate.protocol == PROTOCOL)
    ]


def _detection(power: Power, delta: float) -> str:
    """Return a sentence on how often the slowdown of a case was found."""
    case, share = power.case, power.effect.estimate - 1
    injected = f"{INJECTED[case.kind][0].upper()}{INJECTED[case.kind][1:]}"
    below = ", below δ" if share < delta else ""
    return (
        f"{injected}, {case.percent:g} % intended in {case.mode}{_measured(share)}{below}, "
        f"{power.series.load}: found in {rate(power.rate(Verdict.REGRESSED))}."
    )


def _measured(share: float) -> str:
    return "" if math.isnan(share) else f" and {PERCENT(share)} % measured"


def _size(power: Power) -> tuple[str, float, str]:
    return power.case.kind, power.case.percent, power.case.mode


def rate(value: Rate) -> str:
    """Return a rate in percent, with its interval and its count."""
    if not value.total:
        return "–"
    low, high = value.bounds
    share = value.count / value.total
    return f"{share:.0%} ({low:.0%}–{high:.0%}; {value.count} of {value.total})"


def _by_series(results: Iterable[Power], sets: Iterable[SetRow]) -> list[str]:
    set_counts = Counter(
        Series(load=load, protocol=protocol)
        for load, protocol, _ in {(row.load, row.protocol, row.began) for row in sets}
    )
    parts = []
    for series, group in groupby(results, key=lambda power: power.series):
        load = f"{series.load[0].upper()}{series.load[1:]}"
        title = f"{load}, {counted(set_counts[series], 'set')}, {series.protocol}"
        title += ", an earlier protocol" * series.is_outdated
        parts += [f"**{title}**", as_markdown(_SETS_COLUMNS, pd.DataFrame(map(_row, group)))]
    return parts


def _row(power: Power) -> dict[str, Any]:
    effect = power.effect
    return {
        "added": INJECTED[power.case.kind],
        "mode": power.case.mode,
        "percent": power.case.percent,
        "effect": effect.estimate - 1,
        "effect_low": effect.low - 1,
        "effect_high": effect.high - 1,
        "sd": power.sd,
        "sets": len(power.history.medians),
        "used": _mean(judgement.used for judgement in power.judgements),
        "gates": len(power.judgements),
        **{verdict.value: rate(power.rate(verdict)) for verdict in Verdict},
    }


def _gate_rows(rows: Iterable[GateRow]) -> list[dict[str, Any]]:
    """Return a row for each load, size and mode: quiet before loaded, A/A before the rest."""
    by_gate: dict[str, list[GateRow]] = {}
    for row in rows:
        by_gate.setdefault(row.began, []).append(row)
    gates = sorted(by_gate.values(), key=_kind)
    table = []
    for (*_, percent, mode), group in groupby(gates, key=_kind):
        pooled = list(group)
        cells = [row for gate in pooled for row in gate]
        codes = [gate[0].exit_code for gate in pooled]
        logs = [math.log(row.ratio) for row in cells if math.isfinite(row.ratio)]
        table.append(
            {
                "load": cells[0].load,
                "mode": mode,
                "protocol": cells[0].protocol,
                "percent": percent,
                "measured": math.expm1(mean(logs)) if logs else math.nan,
                "gates": len(pooled),
                "seconds": median(gate[0].seconds for gate in pooled),
                "sets": median(row.sets for row in cells),
                **{
                    f"exit_{code}": rate(Rate(count=codes.count(code), total=len(codes)))
                    for code in (0, 1, 3)
                },
            }
        )
    return table


def _kind(gate: Sequence[GateRow]) -> tuple[bool, str, bool, float, str]:
    """Return the key by which gates are pooled; the cost of an amount depends on the mode."""
    first = gate[0]
    mode = first.cell.removeprefix(f"{ARCH}/").partition("/")[0]
    cells = mode if len(gate) == 1 else counted(len(gate), "cell")
    is_outdated = first.protocol != PROTOCOL
    return is_outdated, first.protocol, first.load != "quiet", first.percent, cells


def _sum(rates: Iterable[Rate]) -> Rate:
    rates = list(rates)
    return Rate(count=sum(item.count for item in rates), total=sum(item.total for item in rates))


def _mean(numbers: Iterable[int]) -> float:
    numbers = list(numbers)
    return sum(numbers) / len(numbers) if numbers else float("nan")
