"""Why a cell is inconclusive, and why its latencies and its ratio may disagree, in sentences."""

import math
from collections.abc import Iterator

from bench import stats
from bench.gate import group_sequential
from bench.gate.decision import Gate, Pair
from bench.gate.verdict import Verdict
from bench.units import counted, with_minus

_ENDED = {
    "over_budget": "its time (--budget) was up",
    "interrupted": "it was interrupted",
    "stopped_early": "every round of its last set was voided",
}


def why_inconclusive(gate: Gate, pair: Pair) -> str:
    """Return why a cell has no verdict, as part of a sentence; empty if it has one or failed."""
    judgement = gate.judgements[pair.cell.id]
    if pair.failures or judgement.overall is not Verdict.INCONCLUSIVE:
        return ""
    ratios = pair.log_ratios
    known = [ratio for ratio in ratios if math.isfinite(ratio)]
    lost = len(ratios) - len(known)
    if group_sequential.is_scattered(known[: judgement.sets]):
        low, high = (with_minus(f"{math.expm1(edge):+.0%}") for edge in (min(known), max(known)))
        return (
            f"its sets are too far apart, from {low} to {high}, to show a change: the "
            "machine or the code behaves differently from one set to the next"
        )
    if lost and (
        len(known) < group_sequential.FIRST_LOOK
        or group_sequential.is_hopeless(ratios, len(ratios))
    ):
        return (
            f"{lost} of its {counted(len(ratios), 'set')} lost most of their rounds, which were "
            "voided"
        )
    ended = _ENDED.get(gate.run.status)
    if ended and judgement.used < gate.settings.most_sets:
        return f"the gate ended after {counted(len(ratios), 'set')}, because {ended}"
    if judgement.used < group_sequential.FIRST_LOOK:
        return "it has too few sets"
    is_by_tail = judgement.verdict is not judgement.overall
    part = "the slowest fifth of its iterations" if is_by_tail else "it"
    delta = gate.settings.deltas.get(pair.cell.id, gate.settings.delta)
    return (
        f"after {counted(judgement.used, 'set')} {part} may still be slower by {delta:.0%} or not: "
        "the sets scatter too much for that"
    )


def contradictions(gate: Gate) -> Iterator[str]:
    """Yield a sentence for each cell whose latencies say the opposite of its ratio."""
    for pair in gate.pairs:
        interval = gate.judgements[pair.cell.id].interval
        head, base = (stats.latency(side).estimate for side in (pair.head, pair.base))
        if pair.failures or not all(map(math.isfinite, (head, base, interval.low))):
            continue
        delta = gate.settings.deltas.get(pair.cell.id, gate.settings.delta)
        apart = math.log(head / base) * math.log(interval.estimate) < 0
        if apart and abs(math.log(head / base)) > math.log1p(delta):
            yield (
                f"{pair.cell.id}: head's latency is {head * 1e3:.3g} ms and base's "
                f"{base * 1e3:.3g} ms, but the ratio within rounds is {interval.estimate:.3f}. A "
                "latency is a mean over all rounds, also those of one side only, and contains the "
                "machine's drift; the verdict uses the ratio."
            )
