"""How a gate is shown: Markdown for a pull request, a verdict file, and GitHub's annotations."""

import json
import math
from collections.abc import Iterator
from typing import Any

import msgspec
import pandas as pd

from bench import means, stats
from bench.gate import judge
from bench.gate.decision import Gate, Pair
from bench.gate.verdict import Judgement, Verdict
from bench.report import card, markdown, trust
from bench.tables import Column, as_markdown, escaped, milliseconds, scaled

SCHEMA_VERSION = 2
TITLE = "### googlenet-bench gate:"

COUNT = scaled(1, 0)
_MARKS = {
    Verdict.REGRESSED: "❌ regressed",
    Verdict.INCONCLUSIVE: "❔ inconclusive",
    Verdict.UNCHANGED: "✅ unchanged",
    Verdict.IMPROVED: "🚀 improved",
}
COLUMNS = (
    Column(name="cell", heading="cell", is_text=True),
    Column(name="verdict", heading="verdict", is_text=True),
    Column(name="ratio", heading="head / base", write=scaled(1, 3), bounded=True),
    Column(name="tail", heading="slowest fifth", write=scaled(1, 2), bounded=True),
    Column(name="base_s", heading="base ms", write=milliseconds),
    Column(name="head_s", heading="head ms", write=milliseconds),
    Column(name="sets", heading="sets"),
    Column(name="delta", heading="δ %", write=lambda share: f"{share * 100:g}"),
    Column(name="changed", heading="changed besides", is_text=True),
)
HOW = """\
A ratio is head's latency over the base's: over 1 is slower. Both sides were measured in the same
sets of fresh processes, visited in turn, and in brackets stands the 95 % interval over sets.
*Regressed* (or *improved*): slower (faster) beyond doubt, and by δ or more, over at least 6 sets.
*Unchanged*: not slower by δ. *Inconclusive*: neither could be shown in the time or sets allowed. A
cell whose median is not slower may have *regressed by its tail* all the same: the slowest fifth of
its iterations is slower on average, beyond doubt, by {tail:.0%} (or δ, if that is more). Where they
look so and it could not be shown, it is *inconclusive by its tail*. Of gates of unchanged code, at
most {alpha:g} % call any cell regressed, unless processes come in two kinds of different speed.
"""


def frame(gate: Gate) -> pd.DataFrame:
    """A row for each cell, the slowest first, and before all those that failed."""
    rows = [_row(gate, pair, gate.judgements[pair.cell.id]) for pair in gate.pairs]
    rows.sort(key=lambda row: -math.inf if math.isnan(row["ratio"]) else -row["ratio"])
    return pd.DataFrame(rows)


def render(gate: Gate) -> str:
    """Everything in Markdown, details folded."""
    parts = [
        f"{TITLE} {headline(gate)}",
        f"Head {escaped(gate.sides.head)} against base {escaped(gate.sides.base)}; "
        f"{escaped(str(gate.run.environment.get('device_name')))}, "
        f"PyTorch {escaped(_torch(gate))}.",
        markdown.STATUS[gate.run.status],
        *(f"**Mind:** {escaped(condition)}" for condition in conditions(gate)),
        as_markdown(COLUMNS, frame(gate)),
        *_failures(gate),
        _folded(
            "How to read this", HOW.format(alpha=gate.settings.alpha * 100, tail=judge.TAIL_EFFECT)
        ),
        _folded("Each set", as_markdown(*_sets(gate))),
        _folded("Circumstances", "\n\n".join(markdown.circumstances(gate.run))),
    ]
    return "\n\n".join(part.strip() for part in parts if part) + "\n"


def conditions(gate: Gate) -> Iterator[str]:
    """What a reader must know of how the gate was held, in sentences."""
    yield from gate.run.notes
    yield from card.warnings(gate.run)
    yield from card.notes(gate.run)
    for found in trust.assess(gate.run):
        if found.is_busy:
            yield (
                f"{found.voided_share:.0%} of {found.rounds} rounds were voided, "
                f"{found.why_voided}; what that does to the ratios is in their intervals, and a "
                "quiet machine needs fewer sets."
            )
        if found.control_contains_1 is False:
            yield (
                f"head's {found.reference} measured twice differs from itself by a factor of "
                f"{found.control.estimate:.3f}, beyond its 99 % interval, as one gate in a hundred "
                "has it: hold another before you act on this one."
            )


def headline(gate: Gate) -> str:
    """How many cells of each verdict, the worst first."""
    found = list(gate.judgements.values())
    failed = sum(bool(pair.failures) for pair in gate.pairs)
    counts = {"failed": failed} | {
        verdict.value: sum(judgement.overall is verdict for judgement in found)
        for verdict in _MARKS
    }
    counts[Verdict.INCONCLUSIVE] -= failed
    return ", ".join(f"{count} {name}" for name, count in counts.items() if count)


def sentence(gate: Gate, pair: Pair) -> str:
    """What is said of a cell, in a line."""
    for side, failure in pair.failures.items():
        return f"{side} failed while {failure.phase}: {failure.message}"
    judgement = gate.judgements[pair.cell.id]
    found, name, sets, what = judgement.interval, judgement.overall, judgement.sets, ""
    if judgement.tail and judgement.overall is not judgement.verdict:
        found, sets = judgement.tail.interval, judgement.tail.sets
        what = ", in the slowest fifth of its iterations,"
    if math.isnan(found.low):
        return f"{name}: too few sets ({sets})"
    return (
        f"{name}: head takes{what} {found.estimate:.3f} ({found.low:.3f}–{found.high:.3f}) times "
        f"as long as {gate.sides.base}, over {sets} sets"
    )


def annotations(gate: Gate) -> Iterator[str]:
    """GitHub's workflow commands: an error for each cell that regressed or failed, and so on."""
    for pair in gate.pairs:
        verdict = gate.judgements[pair.cell.id].overall
        if verdict is Verdict.REGRESSED or pair.failures.keys() == {"head"}:
            level = "error"
        elif verdict is Verdict.INCONCLUSIVE:
            level = "warning"
        else:
            continue
        text = sentence(gate, pair).replace("%", "%25").replace("\r", "").replace("\n", "%0A")
        yield f"::{level} title=googlenet-bench {pair.cell.id.replace(',', ' ')}::{text}"


def as_json(gate: Gate) -> str:
    """The verdict file: what was decided, and the log-ratio of each set that it was decided on."""
    content = {
        "schema_version": SCHEMA_VERSION,
        "exit_code": gate.exit_code,
        "status": gate.run.status,
        "head": {"name": gate.sides.head, "environment": gate.run.environment},
        "base": {"name": gate.sides.base, "environment": gate.run.base_environment},
        "settings": gate.settings,
        "datetime": gate.run.datetime,
        "notes": list(conditions(gate)),
        "phases_s": gate.run.phases_s,
        "cells": [_cell(pair, gate.judgements[pair.cell.id]) for pair in gate.pairs],
    }
    return json.dumps(msgspec.to_builtins(_finite(content)), indent=2, ensure_ascii=False) + "\n"


def _row(gate: Gate, pair: Pair, judgement: Judgement) -> dict[str, Any]:
    found = means.NOTHING if pair.failures else judgement.interval
    verdict = judgement.overall or Verdict.INCONCLUSIVE
    by_tail = " by its tail" if judgement.overall is not judgement.verdict else ""
    tail = judgement.tail.interval if judgement.tail else means.NOTHING
    return {
        "cell": pair.cell.id,
        "verdict": "❌ failed" if pair.failures else _MARKS[verdict] + by_tail,
        "ratio": found.estimate,
        "ratio_low": found.low,
        "ratio_high": found.high,
        "tail": tail.estimate,
        "tail_low": tail.low,
        "tail_high": tail.high,
        "base_s": stats.latency(pair.base).estimate,
        "head_s": stats.latency(pair.head).estimate,
        "sets": judgement.used,
        "delta": gate.settings.deltas.get(pair.cell.id, gate.settings.delta),
        "changed": ", ".join(_changes(pair)),
    }


def _changes(pair: Pair) -> Iterator[str]:
    """Counts of the arch that are not the same on both sides."""
    for name, label in (("params", "params"), ("macs_per_image", "MACs")):
        before, after = pair.base.cost.get(name), pair.head.cost.get(name)
        if before is not None and after is not None and before != after:
            share = f" ({after / before - 1:+.1%})" if before else ""
            yield f"{label} {before:,} → {after:,}{share}"


def _failures(gate: Gate) -> list[str]:
    return [
        f"**{side} failed** in {escaped(pair.cell.id)} while {failure.phase}: "
        f"{escaped(failure.message)}"
        + (f"\n\n{_folded('stderr', markdown.fenced(failure.stderr))}" if failure.stderr else "")
        for pair in gate.pairs
        for side, failure in pair.failures.items()
    ]


def _sets(gate: Gate) -> tuple[tuple[Column, ...], pd.DataFrame]:
    """A row for each cell, a column for each set."""
    percent = scaled(100, 1)
    most = max((len(pair.log_ratios) for pair in gate.pairs), default=0)
    columns = (
        Column(name="cell", heading="head slower by %", is_text=True),
        *(Column(name=f"set {n}", heading=f"set {n}", write=percent) for n in range(1, most + 1)),
    )
    rows = [
        {"cell": pair.cell.id}
        | {f"set {n}": math.expm1(ratio) for n, ratio in enumerate(pair.log_ratios, 1)}
        for pair in gate.pairs
    ]
    return columns, pd.DataFrame(rows).reindex(columns=[column.name for column in columns])


def _cell(pair: Pair, judgement: Judgement) -> dict[str, Any]:
    return {
        "id": pair.cell.id,
        "verdict": "failed" if pair.failures else judgement.overall,
        "judgement": judgement,
        "log_ratios": pair.log_ratios,
        "tail_log_ratios": pair.tail_log_ratios,
        "failures": pair.failures,
        "cost": {"head": pair.head.cost, "base": pair.base.cost},
    }


def _finite(value: Any) -> Any:
    """Plain data in which what is no number is null, as JSON has it."""
    plain = msgspec.to_builtins(value)
    if isinstance(plain, dict):
        return {name: _finite(part) for name, part in plain.items()}
    if isinstance(plain, list | tuple):
        return [_finite(part) for part in plain]
    return None if isinstance(plain, float) and not math.isfinite(plain) else plain


def _torch(gate: Gate) -> str:
    """The version, or both where the sides differ."""
    run = gate.run
    versions = (about.get("torch") for about in (run.base_environment, run.environment) if about)
    return " → ".join(map(str, dict.fromkeys(versions)))


def _folded(title: str, content: str) -> str:
    return f"<details><summary>{title}</summary>\n\n{content.strip()}\n\n</details>"
