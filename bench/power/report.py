"""The gate's error rates in Markdown: ``gate-power.md``. Pure: rows in, text out."""

from collections.abc import Iterable, Sequence
from itertools import groupby
from statistics import median
from typing import Any

import pandas as pd

from bench.gate.judge import Settings
from bench.gate.verdict import Verdict
from bench.power.held import GateRow
from bench.power.rates import CELLS, Power, Rate, powers
from bench.power.sets import SetRow
from bench.report.tables import Column, as_markdown, scaled

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
{sets:,} sets of {rounds} rounds, of fresh forked workers, the network without and with the
injection alive together. The gate's own decision code was run on groups of consecutive sets that
share none: each group ends where the gate would have, as one of {cells} cells. *Slower by* is what
the injection turned out to cost over all sets of it, which is what a verdict is to be held against;
*set sd* is the standard deviation of one set's log-ratio.
"""
GATES = """\
Gates held as CI holds them, from the command to its exit code, on a repository made for each:
a cell each, head with uncommitted changes against its last commit. Exit code 1 is a regression,
0 none, 3 undecided. *Loaded* is with a process that multiplies matrices on two threads beside it.
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
    Column(name="percent", heading="added %", write=lambda value: f"{value:g}"),
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
        *(f"- {sentence}" for sentence in findings(found, gates)),
    ]
    if found:
        parts += [
            "## Sets, judged in groups",
            SETS.format(
                sets=len({row.began for row in sets}),
                rounds=" or ".join(map(str, sorted({row.rounds for row in sets}))),
                cells=CELLS,
            ),
            *_by_load(found),
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


def findings(found: Iterable[Power], gates: Iterable[GateRow]) -> list[str]:
    """The rates that a team asks for first, in sentences."""
    found = list(found)
    sentences = []
    for load in dict.fromkeys(power.load for power in found):
        of_load = [power for power in found if power.load == load]
        same = _sum(power.rate(Verdict.REGRESSED) for power in of_load if power.case.is_same)
        undecided = _sum(
            power.rate(Verdict.INCONCLUSIVE) for power in of_load if power.case.is_same
        )
        if same.of:
            sentences.append(
                f"A/A, {load}: {rate(same)} of verdicts on a cell were `regressed`, and "
                f"{rate(undecided)} inconclusive."
            )
        for percent in sorted({p.case.percent for p in of_load if p.case.kind == "conv"}):
            hits = _sum(
                power.rate(Verdict.REGRESSED)
                for power in of_load
                if power.case.kind == "conv" and power.case.percent == percent
            )
            if hits.of:
                sentences.append(
                    f"{percent:g} % of convolutions added, {load}: found in {rate(hits)}."
                )
    return sentences + [
        f"End to end, {row['load']}, {row['percent']:g} % added: exit code 1 in {row['exit_1']} "
        f"of {row['gates']} gates, 0 in {row['exit_0']}, 3 in {row['exit_3']}."
        for row in _held(gates)
    ]


def rate(found: Rate) -> str:
    """A rate in percent with its interval, and its count."""
    if not found.of:
        return "–"
    low, high = found.bounds
    share = found.count / found.of
    return f"{share:.0%} ({low:.0%}–{high:.0%}; {found.count} of {found.of})"


def _by_load(found: Iterable[Power]) -> list[str]:
    parts = []
    for load, powers_of in groupby(found, key=lambda power: power.load):
        rows = [_row(power) for power in powers_of]
        parts += [
            f"**{load[0].upper()}{load[1:]}**",
            as_markdown(_SETS_COLUMNS, pd.DataFrame(rows)),
        ]
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
        "sets": len(power.log_ratios),
        "used": _mean(judgement.sets for judgement in power.judgements),
        "gates": len(power.judgements),
        **{verdict.value: rate(power.rate(verdict)) for verdict in Verdict},
    }


def _held(gates: Iterable[GateRow]) -> list[dict[str, Any]]:
    """A row for each load and size: quiet before loaded, A/A before the rest."""
    rows = sorted(gates, key=lambda row: (row.load != "quiet", row.percent, row.began))
    found = []
    for (load, percent), of_case in groupby(rows, key=lambda row: (row.load, row.percent)):
        cells = list(of_case)
        held = {row.began: row for row in cells}
        codes = [row.exit_code for row in held.values()]
        found.append(
            {
                "load": load,
                "percent": percent,
                "gates": len(held),
                "seconds": median(row.seconds for row in held.values()),
                "sets": median(row.sets for row in cells),
                **{
                    f"exit_{code}": rate(Rate(count=codes.count(code), of=len(codes)))
                    for code in (0, 1, 3)
                },
            }
        )
    return found


def _sum(rates: Iterable[Rate]) -> Rate:
    rates = list(rates)
    return Rate(count=sum(one.count for one in rates), of=sum(one.of for one in rates))


def _mean(numbers: Iterable[int]) -> float:
    numbers = list(numbers)
    return sum(numbers) / len(numbers) if numbers else float("nan")
