"""The choice: the most accurate candidate whose latency is shown to be within the limit."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from bench import stats
from bench.means import Interval
from bench.pick.candidate import Candidate, Cause, Dropped, Limits, remaining
from bench.pick.halving import over_memory
from bench.records.record import RunRecord
from bench.report.phrases import interval_text, ratio_text, shortened_list
from bench.tables import milliseconds

# Two accuracies p that were measured independently on n images differ by chance by up to
# 1.96 √(2p(1 − p)/n): 0.54 points at 75 % on the 50,000 images of ImageNet's validation set.
SAME_ACCURACY = 0.5
# A candidate that was dropped for the first of these came nearest to the limits.
_NEAREST = (Cause.LATENCY, Cause.MEMORY, Cause.PEAK, Cause.PARAMS, Cause.ACCURACY)


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The candidates with their verdicts, and the one that is picked."""

    candidates: list[Candidate]
    picked: Candidate | None
    sentences: tuple[str, ...]
    is_decided: bool = True
    """Whether every candidate was dropped or measured to the end."""


def choose(
    candidates: list[Candidate], run: RunRecord | None, limits: Limits, unfinished: str = ""
) -> Choice:
    """Return the choice among the candidates.

    ``run`` is the final run, or the last one that was measured; None if nothing was. ``unfinished``
    says why there is no complete final run; empty if there is one.
    """
    fitting = [each for each in remaining(candidates) if _fits(each, limits)]
    picked = min(fitting, key=_order, default=None)
    judged = [_with_verdict(each, picked, limits, unfinished) for each in candidates]
    undecided = [each for each in remaining(candidates) if _is_open(each)]
    picked = next((each for each in judged if picked and each.cell == picked.cell), None)
    sentences = [unfinished] if unfinished else []
    if picked is not None:
        sentences.append(_pick_sentence(picked))
        if run is not None:
            sentences += _faster(picked, judged, run)
    elif undecided:
        names = shortened_list([each.name for each in undecided])
        sentences.append(f"No network is picked: too little was measured of {names}.")
    else:
        sentences.append(f"No network keeps to the limits. {_nearest_miss(judged)}")
    return Choice(
        candidates=judged,
        picked=picked,
        sentences=tuple(sentences),
        is_decided=not undecided,
    )


def favourite(candidates: list[Candidate], limits: Limits) -> Candidate:
    """Return the candidate that the choice would fall on now, judged by estimates.

    Without latencies, it is the one with the fewest multiply-accumulates.
    """
    within = [
        each
        for each in candidates
        if each.latency is not None and each.latency.estimate <= limits.latency_s
    ]
    if within:
        return min(within, key=_order)
    return min(candidates, key=lambda each: each.least_s or math.inf)


def _is_open(candidate: Candidate) -> bool:
    """Whether a candidate that was not dropped has no interval of its latency."""
    return candidate.latency is None or math.isnan(candidate.latency.high)


def _fits(candidate: Candidate, limits: Limits) -> bool:
    is_fast = candidate.latency is not None and candidate.latency.high <= limits.latency_s
    return is_fast and not over_memory(candidate, limits)


def _order(candidate: Candidate) -> tuple[float, float]:
    """Order candidates by accuracy, an unknown one last, and then by latency per image."""
    percent = -math.inf if candidate.percent is None else candidate.percent
    return -percent, _latency(candidate).estimate / candidate.cell.batch_size


def _latency(candidate: Candidate) -> Interval:
    if candidate.latency is None:
        raise ValueError(f"{candidate.name} has no latency")
    return candidate.latency


def _with_verdict(
    candidate: Candidate, picked: Candidate | None, limits: Limits, unfinished: str
) -> Candidate:
    if candidate.dropped is not None:
        text = f"dropped in step {candidate.dropped.step}: {candidate.dropped.why}"
    elif _is_open(candidate):
        text = f"not decided: {'measuring ended early' if unfinished else 'too few valid sets'}"
    elif over := over_memory(candidate, limits):
        text = f"over the limit: {over}"
    elif not _fits(candidate, limits):
        text = f"over the limit: its interval ends at {milliseconds(_latency(candidate).high)} ms"
    elif picked is not None and candidate.cell == picked.cell:
        text = "picked"
    elif picked is not None and candidate.percent == picked.percent:
        text = "within the limits, but not the fastest of its accuracy"
    elif candidate.percent is None:
        text = "within the limits, but its accuracy is unknown"
    else:
        text = "within the limits, but less accurate"
    return replace(candidate, verdict=text)


def _pick_sentence(picked: Candidate) -> str:
    latency = interval_text(_latency(picked), milliseconds, " ms")
    if picked.accuracy is None:
        return (
            f"Picked: {picked.name}, {latency} at batch {picked.cell.batch_size}, the fastest "
            "within the limits; no accuracy is known."
        )
    return (
        f"Picked: {picked.name}, the most accurate within the limits: {picked.percent:.1f} % "
        f"({picked.accuracy.source}), {latency} at batch {picked.cell.batch_size}."
    )


def _faster(picked: Candidate, judged: list[Candidate], run: RunRecord) -> Iterator[str]:
    """Yield a sentence on the fastest network that is not shown to be less accurate."""
    records = {record.cell: record for record in run.cells if record.has_figures}
    if picked.percent is None or picked.cell not in records:
        return
    found = []
    for each in remaining(judged):
        is_close = each.percent is not None and picked.percent - each.percent < SAME_ACCURACY
        is_comparable = each.cell in records and each.cell.group == picked.cell.group
        if each.cell == picked.cell or not is_close or not is_comparable:
            continue
        reference = run.reference(each.cell.group)
        ratio = stats.speedup(records[each.cell], records[picked.cell], reference=reference)
        if ratio.low > 1:
            found.append((ratio.estimate, each, ratio))
    if not found:
        return
    _, each, ratio = max(found, key=lambda pair: pair[0])
    yield (
        f"{each.name} is {ratio_text(ratio)} times as fast and not shown to be less accurate: its "
        f"{each.percent:.1f} % differ from {picked.percent:.1f} % by less than {SAME_ACCURACY} "
        "points, which chance explains on 50,000 images."
    )


def _nearest_miss(judged: list[Candidate]) -> str:
    """Name the candidate that came nearest to the limits."""
    over = [each for each in judged if each.dropped is None]
    if over:
        nearest = min(over, key=lambda each: _latency(each).estimate)
        return f"The nearest is {nearest.name}: {nearest.verdict}."
    dropped = [(each, each.dropped) for each in judged if each.dropped]
    for cause in _NEAREST:
        if found := [pair for pair in dropped if pair[1].cause is cause]:
            nearest, last = min(found, key=lambda pair: _distance(*pair))
            return f"The nearest is {nearest.name}: {last.why}."
    reasons = dict.fromkeys(each.why for _, each in dropped)
    return f"All were dropped: {'; '.join(reasons)}."


def _distance(candidate: Candidate, dropped: Dropped) -> float:
    """Return a figure that grows with the distance from the limit that dropped a candidate.

    It is comparable within a cause.
    """
    cause = dropped.cause
    if cause is Cause.ACCURACY:
        return math.inf if candidate.percent is None else -candidate.percent
    if cause is Cause.PARAMS:
        return (candidate.cost.params if candidate.cost else None) or math.inf
    if cause is Cause.PEAK:
        return candidate.least_s or math.inf
    if cause is Cause.MEMORY:
        return candidate.memory_bytes or math.inf
    return math.inf if candidate.latency is None else candidate.latency.estimate
