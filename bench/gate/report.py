"""Output of a gate: Markdown for a pull request, a verdict file, and GitHub annotations."""

import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import msgspec
import pandas as pd

from bench import means, metrics, stats
from bench.columns import Column, filled, milliseconds, scaled
from bench.gate import group_sequential, reasons
from bench.gate.decision import Gate, Pair
from bench.gate.verdict import FAILED, Judgement, Verdict
from bench.machine.environment import Environment
from bench.metrics.metric import MeasuredCell, Metric, Place
from bench.records.code import Code
from bench.report.blocks import Block, Folded, Paragraph, Prose, Table, Verbatim
from bench.report.formats import markdown
from bench.report.sections import circumstances
from bench.tables import escaped
from bench.trust import assessment, card_state
from bench.units import counted, with_minus

SCHEMA_VERSION = 2
TITLE = "### googlenet-bench gate:"

_MARKS: Mapping[str, str] = {
    FAILED: "❌ failed",
    Verdict.REGRESSED: "❌ regressed",
    Verdict.INCONCLUSIVE: "❔ inconclusive",
    Verdict.UNCHANGED: "✅ unchanged",
    Verdict.IMPROVED: "🚀 improved",
}
COLUMNS = (
    Column(name="cell", heading="cell", is_text=True),
    Column(name="verdict", heading="verdict", is_text=True),
    Column(name="ratio", heading="head / base", write=scaled(1, 3), bounded=True, neutral=1.0),
    Column(name="tail", heading="slowest fifth", write=scaled(1, 2), bounded=True, neutral=1.0),
    Column(name="base_s", heading="base ms", write=milliseconds),
    Column(name="head_s", heading="head ms", write=milliseconds),
    Column(name="sets", heading="sets"),
    Column(name="delta", heading="δ %", write=lambda share: f"{share * 100:g}"),
    Column(name="changed", heading="other changes", is_text=True),
)
HOW_TO_READ = """\
A ratio is head's latency over the base's: above 1 means slower. Both sides were measured in the
same sets of fresh processes, visited in turn. The brackets hold the 95 % interval over sets.
*Regressed* (or *improved*): significantly slower (faster), by δ or more, over at least 6 sets.
*Unchanged*: not slower by δ. *Failed*: only head failed. *Inconclusive*: the base failed, or
neither was shown in the time or sets allowed. A cell whose median is not slower may still be
*regressed by its tail*: the mean of the slowest fifth of its iterations is significantly slower, by
{tail:.0%} (or δ, if that is more). If it looks slower but this was not shown, the cell is
*inconclusive by its tail*. At most {alpha:g} % of gates of unchanged code report a regression,
unless there are processes of two kinds with different speeds.
"""


def frame(gate: Gate) -> pd.DataFrame:
    """Return a row per cell: cells that failed, then the slowest, then those without a ratio."""
    rows = [_row(gate, pair, gate.judgements[pair.cell.id]) for pair in gate.pairs]
    failed = _MARKS[FAILED]
    rows.sort(
        key=lambda row: (
            row["verdict"] != failed,
            math.inf if math.isnan(row["ratio"]) else -row["ratio"],
        )
    )
    return pd.DataFrame(rows)


def render(gate: Gate) -> str:
    """Return the whole gate as Markdown, with folded details."""
    parts = [
        f"{TITLE} {headline(gate)}",
        f"Head {escaped(gate.sides.head)} against base {escaped(gate.sides.base)}; "
        f"{escaped(str(gate.run.environment.device_name))}, "
        f"PyTorch {escaped(_torch(gate))}.",
        markdown.STATUS[gate.run.status],
        *(f"**Note:** {escaped(note)}" for note in notes(gate)),
        *markdown.blocks(_blocks(gate)),
    ]
    return markdown.joined(parts)


def _blocks(gate: Gate) -> Iterator[Block]:
    """Yield the verdicts, the failures and the details."""
    yield Table(title="Verdicts", columns=COLUMNS, rows=frame(gate))
    for pair in gate.pairs:
        if why := reasons.why_inconclusive(gate, pair):
            yield Paragraph(text=f"{pair.cell.id} is inconclusive: {why}.")
    for pair in gate.pairs:
        for side, failure in pair.failures.items():
            where = f"{pair.cell.id} while {failure.phase}"
            yield Paragraph(text=f"{side} failed in {where}: {failure.message}")
            if failure.stderr:
                yield Verbatim(label="stderr", text=failure.stderr, is_long=True)
    how = HOW_TO_READ.format(alpha=gate.settings.alpha * 100, tail=group_sequential.TAIL_EFFECT)
    yield Folded(summary="How to read this", blocks=(Prose(text=how),))
    yield Folded(summary="Each set", blocks=(_sets(gate),))
    if figures := _figures(gate):
        yield Folded(summary="Other figures, base → head", blocks=(figures,))
    yield Folded(summary="Circumstances", blocks=tuple(circumstances.blocks(gate.run)))


def notes(gate: Gate) -> Iterator[str]:
    """Yield sentences on conditions of the measurement that a reader must know."""
    yield from gate.run.notes
    yield from reasons.contradictions(gate)
    yield from card_state.warnings(gate.run)
    yield from card_state.notes(gate.run)
    for group in assessment.assess(gate.run):
        if group.is_busy:
            yield (
                f"{group.voided}, {group.why_voided}; the intervals include the effect on the "
                "ratios, and a quiet machine needs fewer sets."
            )
        if group.allowed_cpus is not None:
            yield f"{group.while_loaded}; a quiet machine needs fewer sets."
        if group.control_contains_1 is False:
            yield (
                f"head's {group.reference} was measured twice and differs from itself by a factor "
                f"of {group.control.estimate:.3f}; the 99 % interval does not contain 1. This is "
                "expected in 1 % of gates; rerun the gate before acting on it."
            )


def headline(gate: Gate) -> str:
    """Return the number of cells per verdict, the worst verdict first."""
    counts: Counter[str] = Counter(gate.verdicts.values())
    return ", ".join(f"{counts[name]} {name}" for name in _MARKS if counts[name])


def sentence(gate: Gate, pair: Pair) -> str:
    """Return the verdict of a cell with its figures, in one line."""
    if pair.failures:
        sides = (
            f"{side} failed while {failure.phase}: {failure.message}"
            for side, failure in pair.failures.items()
        )
        return f"{gate.verdicts[pair.cell.id]}: {'; '.join(sides)}"
    judgement = gate.judgements[pair.cell.id]
    interval, name, sets, part = judgement.interval, judgement.overall, judgement.sets, ""
    if judgement.tail and judgement.overall is not judgement.verdict:
        interval, sets = judgement.tail.interval, judgement.tail.sets
        part = ", in the slowest fifth of its iterations,"
    why = reasons.why_inconclusive(gate, pair)
    if math.isnan(interval.low):
        return f"{name} after {counted(sets, 'set')}: {why}"
    because = f"; {why}" if why else ""
    return (
        f"{name}: head takes{part} "
        f"{interval.estimate:.3f} ({interval.low:.3f}–{interval.high:.3f}) times as long as "
        f"{gate.sides.base}, over {counted(sets, 'set')}{because}"
    )


def annotations(gate: Gate) -> Iterator[str]:
    """Yield GitHub's workflow commands.

    A cell that regressed, or failed only on head, is an error; an inconclusive cell is a warning.
    """
    for pair in gate.pairs:
        verdict = gate.verdicts[pair.cell.id]
        if verdict in {Verdict.REGRESSED, FAILED}:
            level = "error"
        elif verdict is Verdict.INCONCLUSIVE:
            level = "warning"
        else:
            continue
        text = sentence(gate, pair).replace("%", "%25").replace("\r", "").replace("\n", "%0A")
        yield f"::{level} title=googlenet-bench {pair.cell.id.replace(',', ' ')}::{text}"


def as_json(gate: Gate) -> str:
    """Return the verdict file: the verdicts, and the log-ratios of the sets behind them."""
    content = {
        "schema_version": SCHEMA_VERSION,
        "exit_code": gate.exit_code,
        "status": gate.run.status,
        "head": _side(gate.sides.head, gate.run.environment, gate.run.code),
        "base": _side(gate.sides.base, gate.run.base_environment, gate.run.base_code),
        "settings": gate.settings,
        "datetime": gate.run.datetime,
        "notes": list(notes(gate)),
        "phases_s": gate.run.phases_s,
        "cells": [_cell(gate, pair) for pair in gate.pairs],
    }
    return json.dumps(msgspec.to_builtins(_finite(content)), indent=2, ensure_ascii=False) + "\n"


def _side(name: str, environment: Environment | None, code: Code | None) -> dict[str, object]:
    return {"name": name, "environment": environment, "code": code}


def _row(gate: Gate, pair: Pair, judgement: Judgement) -> dict[str, Any]:
    ratio = means.NO_INTERVAL if pair.failures else judgement.interval
    verdict = gate.verdicts[pair.cell.id]
    detail = ""
    if "base" in pair.failures:
        detail = f": {' and '.join(pair.failures)} failed"
    elif judgement.overall is not judgement.verdict:
        detail = " by its tail"
    tail = judgement.tail.interval if judgement.tail else means.NO_INTERVAL
    return {
        "cell": pair.cell.id,
        "verdict": _MARKS[verdict] + detail,
        "ratio": ratio.estimate,
        "ratio_low": ratio.low,
        "ratio_high": ratio.high,
        "tail": tail.estimate,
        "tail_low": tail.low,
        "tail_high": tail.high,
        "base_s": stats.latency(pair.base).estimate,
        "head_s": stats.latency(pair.head).estimate,
        "sets": judgement.used,
        "delta": gate.settings.deltas.get(pair.cell.id, gate.settings.delta),
        "changed": ", ".join(_changes(gate, pair)),
    }


def _changes(gate: Gate, pair: Pair) -> Iterator[str]:
    """Yield the exact counts that differ between the sides."""
    for metric in metrics.applying(gate.run, Place.GATE):
        before, after = _values(metric, gate, pair)
        if not metric.is_count or pd.isna(before) or pd.isna(after):
            continue
        if before != after:
            share = f" ({with_minus(f'{after / before - 1:+.1%}')})" if before else ""
            yield f"{metric.name.replace('_', ' ')} {before:,} → {after:,}{share}"


def _figures(gate: Gate) -> Table | None:
    """Return the metrics of both sides that are not judged and not exact; None without any."""
    shown = [metric for metric in metrics.applying(gate.run, Place.GATE) if not metric.is_count]
    rows = pd.DataFrame(
        {
            "cell": pair.cell.id,
            **{metric.name: metric.change(*_values(metric, gate, pair)) for metric in shown},
        }
        for pair in gate.pairs
    )
    columns = filled(tuple(replace(m.column(gate.run), write=str) for m in shown), rows)
    if not columns:
        return None
    return Table(title="Other figures", columns=(COLUMNS[0], *columns), rows=rows)


def _values(metric: Metric, gate: Gate, pair: Pair) -> tuple[Any, Any]:
    """Return a metric's values on the base and on head."""
    base, head = (
        metric.columns(MeasuredCell.of_run(record, gate.run))[metric.name]
        for record in (pair.base, pair.head)
    )
    return base, head


def _sets(gate: Gate) -> Table:
    """Return each set's ratio: a row per cell, a column per set."""
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
    frame_of_sets = pd.DataFrame(rows).reindex(columns=[column.name for column in columns])
    return Table(title="Each set", columns=columns, rows=frame_of_sets)


def _cell(gate: Gate, pair: Pair) -> dict[str, Any]:
    return {
        "id": pair.cell.id,
        "verdict": gate.verdicts[pair.cell.id],
        "judgement": gate.judgements[pair.cell.id],
        "log_ratios": pair.log_ratios,
        "tail_log_ratios": pair.tail_log_ratios,
        "failures": pair.failures,
        "cost": {"head": pair.head.cost, "base": pair.base.cost},
    }


def _finite(value: Any) -> Any:
    """Return plain data for JSON, with None for NaN and infinities."""
    plain = msgspec.to_builtins(value)
    if isinstance(plain, dict):
        return {name: _finite(part) for name, part in plain.items()}
    if isinstance(plain, list | tuple):
        return [_finite(part) for part in plain]
    return None if isinstance(plain, float) and not math.isfinite(plain) else plain


def _torch(gate: Gate) -> str:
    """Return the PyTorch version, or both versions if the sides differ."""
    run = gate.run
    versions = (about.torch for about in (run.base_environment, run.environment) if about)
    return " → ".join(map(str, dict.fromkeys(versions)))
