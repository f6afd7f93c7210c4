"""The choice: the most accurate candidate whose latency is shown to be within the limit."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from bench import stats
from bench.cells.cell import Cell
from bench.columns import milliseconds
from bench.means import Interval
from bench.metrics.latency import LATENCY
from bench.pick.candidate import Candidate, Cause, Dropped, Limits, remaining
from bench.pick.halving import lacks_interval, over_memory
from bench.records.record import RunRecord
from bench.report import front
from bench.report.phrases import interval_text, ratio_text, shortened_list

# Two accuracies p on n images differ by chance by up to 1.96 √(2p(1 − p)/n), and by less if both
# networks fail on the same images: 0.54 points at 75 % on ImageNet's 50,000 validation images.
SAME_ACCURACY = 0.5  # points
IMAGENET = "ImageNet-1K"  # in the source of an accuracy on these images
# A candidate that was dropped for the first of these came nearest to the limits.
_NEAREST = (Cause.LATENCY, Cause.MEMORY, Cause.CEILING, Cause.PARAMS, Cause.ACCURACY)


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The candidates with their verdicts, and the one that is picked."""

    candidates: list[Candidate]
    picked: Candidate | None
    sentences: tuple[str, ...]
    is_decided: bool = True
    """Whether no candidate that was measured too little could be the choice."""


def choose(
    candidates: list[Candidate], run: RunRecord | None, limits: Limits, unfinished: str = ""
) -> Choice:
    """Return the choice among the candidates.

    ``run`` is the final run, or the last one that was measured; None if nothing was. ``unfinished``
    says why there is no complete final run; empty if there is one.
    """
    if run is not None and not unfinished:
        candidates = _with_front(candidates, run)
    fitting = [each for each in remaining(candidates) if _fits(each, limits)]
    picked = min(fitting, key=_order, default=None)
    judged = [_with_verdict(each, picked, limits, unfinished) for each in candidates]
    undecided = [each for each in remaining(judged) if _is_open(each, picked, limits)]
    picked = next((each for each in judged if picked and each.cell == picked.cell), None)
    sentences = [unfinished] if unfinished else []
    if picked is not None:
        sentences += [_pick_sentence(picked), *_changed_answers(picked)]
        if run is not None:
            sentences += _faster(picked, judged, run, limits)
        sentences += [f"{each.name} is more accurate and is {each.verdict}." for each in undecided]
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


def _with_front(candidates: list[Candidate], run: RunRecord) -> list[Candidate]:
    """Return the candidates, those that were not dropped with their place in the final run."""
    standings: dict[Cell, str] = {}
    for group in run.measured:
        comparison = front.Comparison(metric=LATENCY, run=run)
        known = front.compared(run, group, comparison)
        for record in known:
            standings[record.cell] = front.standing(record, known, comparison).front
    return [
        each if each.dropped else replace(each, front=standings.get(each.cell))
        for each in candidates
    ]


def favourite(candidates: list[Candidate], limits: Limits) -> Candidate:
    """Return the candidate that the choice would fall on now, judged by estimates.

    If no latency is known yet, the candidate with the least estimated latency is returned.
    """
    within = [
        each
        for each in candidates
        if each.latency is not None and each.latency.estimate <= limits.latency_s
    ]
    if within:
        return min(within, key=_order)
    return min(candidates, key=lambda each: each.least_s or math.inf)


def _is_open(candidate: Candidate, picked: Candidate | None, limits: Limits) -> bool:
    """Whether a candidate that was measured too little could replace the pick."""
    if not lacks_interval(candidate) or over_memory(candidate, limits):
        return False
    return picked is None or _known_percent(candidate) > _known_percent(picked)


def _known_percent(candidate: Candidate) -> float:
    """Return the accuracy in percent, where an unknown one is less than any other."""
    return -math.inf if candidate.percent is None else candidate.percent


def _fits(candidate: Candidate, limits: Limits) -> bool:
    is_fast = candidate.latency is not None and candidate.latency.high <= limits.latency_s
    return is_fast and not over_memory(candidate, limits)


def _order(candidate: Candidate) -> tuple[float, float]:
    """Order candidates by accuracy, an unknown one last, and then by latency per image."""
    per_image_s = _latency(candidate).estimate / candidate.cell.batch_size
    return -_known_percent(candidate), per_image_s


def _latency(candidate: Candidate) -> Interval:
    if candidate.latency is None:
        raise ValueError(f"{candidate.name} has no latency")
    return candidate.latency


def _with_verdict(
    candidate: Candidate, picked: Candidate | None, limits: Limits, unfinished: str
) -> Candidate:
    if candidate.dropped is not None:
        text = f"dropped in step {candidate.dropped.step}: {candidate.dropped.why}"
    elif over := over_memory(candidate, limits):
        text = f"over the limit: {over}"
    elif lacks_interval(candidate):
        text = f"not decided: {'measuring ended early' if unfinished else 'too few valid sets'}"
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


def _changed_answers(picked: Candidate) -> Iterator[str]:
    """Say how far the mode's answers are from those that the accuracy is for, if they differ."""
    if picked.output_error:
        yield (
            f"Its answers differ from those in fp32 eager by {picked.output_error:.1e} (relative "
            "L2 distance), which the accuracy does not include."
        )


def _faster(
    picked: Candidate, judged: list[Candidate], run: RunRecord, limits: Limits
) -> Iterator[str]:
    """Yield a sentence on the fastest network within the limits that is nearly as accurate.

    One wrong comparison is enough for a wrong sentence, so all intervals together have 95 %.
    """
    records = {record.cell: record for record in run.cells if record.has_figures}
    if picked.cell not in records:
        return
    near = [
        (each, difference)
        for each in remaining(judged)
        if each.cell != picked.cell and each.cell in records
        if each.cell.group == picked.cell.group and _fits(each, limits)
        if (difference := _difference(picked, each))
    ]
    confidence = front.confidence(len(near))
    found = []
    for each, difference in near:
        reference = run.reference(each.cell.group)
        ratio = stats.speedup(
            records[each.cell], records[picked.cell], confidence, reference=reference
        )
        if ratio.low > 1:
            found.append((ratio.estimate, f"{each.name} is {ratio_text(ratio)}", difference))
    if found:
        _, start, difference = max(found, key=lambda each: each[0])
        yield f"{start} times as fast{_widened(confidence, len(near))}: its {difference}."


def _widened(confidence: float, compared: int) -> str:
    """Say why an interval is wider than one of 95 %; empty if it is not."""
    if compared < 2:
        return ""
    return (
        f" (the interval has a confidence of {100 * confidence:.3g} %, because the fastest of "
        f"{compared} such networks is named)"
    )


def _difference(picked: Candidate, other: Candidate) -> str:
    """Say how little two accuracies differ; empty if it is too much, or unknown."""
    if picked.accuracy is None or other.accuracy is None:
        return ""
    first, second = picked.accuracy, other.accuracy
    points = abs(first.percent - second.percent)
    if points >= SAME_ACCURACY:
        return ""
    pair = f"{second.percent:.1f} % differ from {first.percent:.1f} % by"
    if all(IMAGENET.lower() in each.source.lower() for each in (first, second)):
        return (
            f"{pair} less than {SAME_ACCURACY} points, which is within what chance can explain for "
            "ImageNet's 50,000 validation images"
        )
    return f"{pair} {points:.2f} points"


def _nearest_miss(judged: list[Candidate]) -> str:
    """Name the candidate that came nearest to the limits."""
    over = [each for each in judged if each.dropped is None]
    if over:
        nearest = min(over, key=lambda each: each.latency.estimate if each.latency else math.inf)
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
    if cause is Cause.CEILING:
        return candidate.least_s or math.inf
    if cause is Cause.MEMORY:
        return candidate.memory_bytes or math.inf
    return math.inf if candidate.latency is None else candidate.latency.estimate
