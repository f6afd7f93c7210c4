"""The gate's error rates in Markdown: ``gate-power.md``. Pure: rows in, text out."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import partial
from itertools import groupby
from statistics import mean, median
from typing import Any

import pandas as pd

from bench.gate.judge import Settings
from bench.gate.verdict import Verdict
from bench.power.cases import PROTOCOL
from bench.power.end_to_end import ARCH, GateRow
from bench.power.rates import CELLS, Power, Rate, Series, powers
from bench.power.sets import SetRow
from bench.tables import Column, as_markdown, scaled

FILE = "gate-power.md"
SETS_FILE = "gate-power-sets.csv"
GATES_FILE = "gate-power-gates.csv"

PERCENT = scaled(100, 1)
INJECTED = {
    "none": "nothing",
    "conv": "convolutions whose output feeds the result",
    "python": "work of the Python interpreter",
    "stutter": "one forward in ten slower, ten times as much",
    "break": "graph breaks",
}
INTRODUCTION = """\
How often `googlenet-bench gate` cries wolf, and how often it sleeps, measured with GoogLeNet on
this machine. Rates stand with their count and the 95 % interval by Clopper and Pearson.
"""
SETS = """\
Sets of fresh forked workers, the network without and with the injection alive together. The gate's
own decision code was run on groups of consecutive sets that share none: each group ends where the
gate would have, as one of {cells} cells. *Slower by* is what the injection turned out to cost over
all sets of it, which is what a verdict is to be held against; *set sd* is the standard deviation of
one set's log-ratio. Workers of one mode are visited one after the other, so that up to four stand
between two that are compared; in a gate these are neighbours, and its sets scatter less.
"""
GATES = """\
Gates held as CI holds them, from the command to its exit code, on a repository made for each:
a cell each, or six as the default gate has, head with uncommitted changes against its last commit.
Exit code 1 is a regression, 0 none, 3 undecided. *Measured* is the geometric mean of the gates' own
ratios; *loaded* is with a process that multiplies matrices on two threads beside it.
"""
_SETS_COLUMNS = (
    Column(name="added", heading="added", is_text=True),
    Column(name="mode", heading="mode", is_text=True),
    Column(name="percent", heading="meant %", write=lambda value: f"{value:g}"),
    Column(name="effect", heading="slower by %", write=PERCENT, bounded=True),
    Column(name="sd", heading="set sd %", write=PERCENT),
    Column(name="sets", heading="sets"),
    Column(name="used", heading="sets a gate", write=scaled(1, 1)),
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
    Column(name="percent", heading="meant %", write=lambda value: f"{value:g}"),
    Column(name="measured", heading="measured %", write=PERCENT),
    Column(name="gates", heading="gates"),
    Column(name="exit_1", heading="exit 1 %", is_text=True),
    Column(name="exit_0", heading="exit 0 %", is_text=True),
    Column(name="exit_3", heading="exit 3 %", is_text=True),
    Column(name="seconds", heading="seconds, median", write=scaled(1, 0)),
    Column(name="sets", heading="sets a cell, median", write=scaled(1, 0)),
)


def render(
    machine: str, sets: Sequence[SetRow], gates: Sequence[GateRow], settings: Settings
) -> str:
    """Everything there is, of one machine."""
    found = powers(sets, settings)
    torches = sorted({row.torch for row in sets} | {row.torch for row in gates})
    parts = [
        "# The gate's own error rates",
        f"{machine}, PyTorch {', '.join(torches)}; δ {settings.delta:.0%}, α {settings.alpha:.0%}.",
        INTRODUCTION,
        *(f"- {sentence}" for sentence in findings(found, gates, settings.delta)),
    ]
    if found:
        parts += [
            "## Sets, judged in groups",
            SETS.format(cells=CELLS),
            *_by_series(found, sets),
            f"Raw: [{SETS_FILE}]({SETS_FILE}).",
        ]
    if gates:
        parts += [
            "## Gates, end to end",
            GATES,
            as_markdown(_GATES_COLUMNS, pd.DataFrame(_held(gates))),
            f"Raw: [{GATES_FILE}]({GATES_FILE}).",
        ]
    text = "\n\n".join(part.strip() for part in parts)
    return text.replace("\n\n- ", "\n- ") + "\n"


def findings(found: Iterable[Power], gates: Iterable[GateRow], delta: float) -> list[str]:
    """The rates that a team asks for first, in sentences: those of the gate as it is now."""
    now = [power for power in found if not power.series.is_before]
    sentences = []
    for series, of_series in groupby(now, key=lambda power: power.series):
        powers_of = list(of_series)
        same = [power for power in powers_of if power.case.is_same]
        if _sum(power.rate(Verdict.REGRESSED) for power in same).of:
            regressed, undecided = (
                rate(_sum(power.rate(verdict) for power in same))
                for verdict in (Verdict.REGRESSED, Verdict.INCONCLUSIVE)
            )
            sentences.append(
                f"A/A, {series.load}: {regressed} of verdicts on a cell were `regressed`, and "
                f"{undecided} inconclusive."
            )
        slowed = [power for power in powers_of if power.judgements and not power.case.is_same]
        sentences += map(partial(_found, delta=delta), sorted(slowed, key=_size))
    return sentences + [
        f"End to end, {row['load']}, {row['percent']:g} % meant in {row['mode']}"
        f"{_measured(row['measured'])}: exit code 1 in {row['exit_1']}, "
        f"0 in {row['exit_0']}, 3 in {row['exit_3']}."
        for row in _held(gate for gate in gates if gate.protocol == PROTOCOL)
    ]


def _found(power: Power, delta: float) -> str:
    """How often a case was found, of one effect: that of its mode."""
    case, share = power.case, power.effect.estimate - 1
    what = f"{INJECTED[case.kind][0].upper()}{INJECTED[case.kind][1:]}"
    below = ", below δ" if share < delta else ""
    return (
        f"{what}, {case.percent:g} % meant in {case.mode}{_measured(share)}{below}, "
        f"{power.series.load}: found in {rate(power.rate(Verdict.REGRESSED))}."
    )


def _measured(share: float) -> str:
    return "" if math.isnan(share) else f" and {PERCENT(share)} % measured"


def _size(power: Power) -> tuple[str, float, str]:
    return power.case.kind, power.case.percent, power.case.mode


def rate(found: Rate) -> str:
    """A rate in percent with its interval, and its count."""
    if not found.of:
        return "–"
    low, high = found.bounds
    share = found.count / found.of
    return f"{share:.0%} ({low:.0%}–{high:.0%}; {found.count} of {found.of})"


def _by_series(found: Iterable[Power], sets: Iterable[SetRow]) -> list[str]:
    counted = Counter(
        Series(load=load, protocol=protocol)
        for load, protocol, _ in {(row.load, row.protocol, row.began) for row in sets}
    )
    parts = []
    for series, powers_of in groupby(found, key=lambda power: power.series):
        title = f"{series.load[0].upper()}{series.load[1:]}, {counted[series]:,} sets, "
        title += series.protocol + (", as the gate had before" * series.is_before)
        parts += [f"**{title}**", as_markdown(_SETS_COLUMNS, pd.DataFrame(map(_row, powers_of)))]
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


def _held(rows: Iterable[GateRow]) -> list[dict[str, Any]]:
    """A row for each load, size and mode: quiet before loaded, A/A before the rest."""
    by_gate: dict[str, list[GateRow]] = {}
    for row in rows:
        by_gate.setdefault(row.began, []).append(row)
    gates = sorted(by_gate.values(), key=_kind)
    found = []
    for (*_, percent, mode), of_kind in groupby(gates, key=_kind):
        held = list(of_kind)
        cells = [row for gate in held for row in gate]
        codes = [gate[0].exit_code for gate in held]
        logs = [math.log(row.ratio) for row in cells if math.isfinite(row.ratio)]
        found.append(
            {
                "load": cells[0].load,
                "mode": mode,
                "protocol": cells[0].protocol,
                "percent": percent,
                "measured": math.expm1(mean(logs)) if logs else math.nan,
                "gates": len(held),
                "seconds": median(gate[0].seconds for gate in held),
                "sets": median(row.sets for row in cells),
                **{
                    f"exit_{code}": rate(Rate(count=codes.count(code), of=len(codes)))
                    for code in (0, 1, 3)
                },
            }
        )
    return found


def _kind(gate: Sequence[GateRow]) -> tuple[bool, str, bool, float, str]:
    """What gates add up by; the mode decides what an amount turns out to cost."""
    first = gate[0]
    mode = first.cell.removeprefix(f"{ARCH}/").partition("/")[0]
    what = mode if len(gate) == 1 else f"{len(gate)} cells"
    is_before = first.protocol != PROTOCOL
    return is_before, first.protocol, first.load != "quiet", first.percent, what


def _sum(rates: Iterable[Rate]) -> Rate:
    rates = list(rates)
    return Rate(count=sum(one.count for one in rates), of=sum(one.of for one in rates))


def _mean(numbers: Iterable[int]) -> float:
    numbers = list(numbers)
    return sum(numbers) / len(numbers) if numbers else float("nan")
