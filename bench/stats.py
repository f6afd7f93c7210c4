"""What samples mean. Pure: numbers in, numbers out; no torch, no files.

The set of fresh processes is what is repeated, so it is what intervals are taken over: two
processes differ for their whole life, which no number of iterations in one of them can show.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from statistics import median
from typing import TypeAlias

import numpy as np

from bench.means import CONFIDENCE, Interval, exponential, interval
from bench.records.record import CellRecord

CONTROL_CONFIDENCE = 0.99  # a group in a hundred is called untrustworthy though it is not
ANY_PRECISION = 1.0  # a half-width that nobody asks for who wants to know a ratio
LEAST_SHARE = 0.5  # of the rounds of the longest wave; a set of fewer is too noisy to count as one

ByVisit: TypeAlias = Mapping[tuple[int, int, int], float]
"""A number for each visit of a cell, by its set, wave and round."""


def speedup(
    cell: CellRecord,
    other: CellRecord,
    confidence: float = CONFIDENCE,
    *,
    beside: CellRecord | None = None,
) -> Interval:
    """How many times as fast as another a cell is: over 1 is faster.

    The median over a set's rounds of the ratio within the round, where the machine's drift cancels
    because both were visited moments apart; and over the sets the geometric mean. ``beside`` is the
    reference, which is alive in each wave: through it two cells of different waves are compared.
    """
    logs = between(
        log_latencies(cell), log_latencies(other), {} if beside is None else log_latencies(beside)
    )
    return over(logs, confidence)


def between(own: ByVisit, theirs: ByVisit, beside: ByVisit) -> Mapping[int, float]:
    """By the set, the logarithm of how many times as fast as they are we are.

    In a set in which no wave had both, it is the difference of what either is to ``beside``.
    """
    together = medians_by_set(log_ratios(own, theirs))
    if all(set_index in together for set_index, _, _ in own):
        return together
    ours, others = (medians_by_set(log_ratios(logs, beside)) for logs in (own, theirs))
    through = {index: ours[index] - others[index] for index in ours if index in others}
    return {**through, **together}


def ratios(group: Sequence[CellRecord]) -> Iterator[tuple[CellRecord, CellRecord]]:
    """Every cell and reference of a group whose ratio is shown, the control's among them.

    ``group`` holds the control, whose cell says what the reference is.
    """
    by_id = {record.cell.id: record for record in group}
    for control in (record for record in group if record.cell.control):
        to = replace(control.cell, control=False)
        for record in group:
            same_mode = replace(to, mode=record.cell.mode)
            for other in dict.fromkeys((to.id, same_mode.id)):
                if other in by_id and other != record.cell.id:
                    yield record, by_id[other]


def is_precise(widest: float, asked: float) -> bool:
    """Whether ratios are as sure as was asked for: each way no further than this share.

    A NaN, as of one set, is not; but whoever asks for 100 % or more asks for nothing.
    """
    return widest <= asked or asked >= ANY_PRECISION


def widest(group: Sequence[CellRecord]) -> float:
    """The largest half-width of the ratios in a group; NaN where one has none, or none is there."""
    logs = {record.cell.id: log_latencies(record) for record in group}
    found = [
        over_sets(log_ratios(logs[record.cell.id], logs[reference.cell.id])).half_width
        for record, reference in ratios(group)
        if record.failure is None and reference.failure is None
    ]
    return float(np.max(found)) if found else math.nan


def latency(cell: CellRecord, confidence: float = CONFIDENCE) -> Interval:
    """A cell's latency in seconds: the geometric mean over the sets of the median of its visits.

    The machine's drift is in it: where two cells are compared, their ratio is much surer.
    """
    return over_sets(log_latencies(cell), confidence)


def iteration(cell: CellRecord, confidence: float = CONFIDENCE) -> Interval:
    """Seconds of an iteration: in back-to-back blocks where there are any, else its latency."""
    if not cell.has_blocks:
        return latency(cell, confidence)
    return over_sets(
        {
            visit.key: math.log(block.host_s / block.iterations)
            for visit in cell.valid
            if (block := visit.back_to_back)
        },
        confidence,
    )


def throughput(cell: CellRecord, confidence: float = CONFIDENCE) -> Interval:
    """Images a second: of back-to-back blocks where there are any, else at the latency."""
    return over_sets(log_throughputs(cell), confidence)


def busy_share(cell: CellRecord, confidence: float = CONFIDENCE) -> Interval:
    """The share of a back-to-back block in which the device works; ``NOTHING`` where unknown.

    What an iteration takes on a device that waits for nothing, over what one takes in the block.
    """
    return over_sets(
        {
            visit.key: math.log(block.busy_s * block.iterations / block.host_s)
            for visit in cell.valid
            if (block := visit.back_to_back) and block.busy_s
        },
        confidence,
    )


def over_sets(logs: ByVisit, confidence: float = CONFIDENCE) -> Interval:
    """The interval of the sets' medians of logarithms, as plain numbers again."""
    return over(medians_by_set(logs), confidence)


def over(logs: Mapping[int, float], confidence: float = CONFIDENCE) -> Interval:
    """The interval of logarithms, one for each set, as plain numbers again."""
    return exponential(interval(list(logs.values()), confidence))


def set_medians(logs: ByVisit) -> list[float]:
    """The median of each set's visits, those sets left out that were cut off early."""
    return list(medians_by_set(logs).values())


def medians_by_set(logs: ByVisit) -> Mapping[int, float]:
    """The same, by the set. A set may have more waves than another, whose rounds are as many."""
    rounds: dict[int, dict[int, int]] = {}
    for set_index, wave, _ in logs:
        waves = rounds.setdefault(set_index, {})
        waves[wave] = waves.get(wave, 0) + 1
    longest = {index: max(waves.values()) for index, waves in rounds.items()}
    least = LEAST_SHARE * max(longest.values(), default=0)
    return {
        index: median(found) for index, found in by_set(logs).items() if longest[index] >= least
    }


def by_set(logs: ByVisit) -> Mapping[int, Sequence[float]]:
    """The numbers of each set's visits."""
    found: dict[int, list[float]] = {}
    for (set_index, _, _), logarithm in logs.items():
        found.setdefault(set_index, []).append(logarithm)
    return found


def log_ratios(own: ByVisit, theirs: ByVisit) -> ByVisit:
    """Logarithm of how many times as fast as they are we are, in each round that visited both."""
    return {visit: theirs[visit] - own[visit] for visit in own if visit in theirs}


def log_latencies(cell: CellRecord) -> ByVisit:
    """Logarithm of the median latency of each valid visit, by set, wave and round."""
    return cell.log_medians


def log_throughputs(cell: CellRecord) -> ByVisit:
    """Logarithm of the images a second of each valid visit, by set, wave and round."""
    size = math.log(cell.cell.batch_size)
    if not cell.has_blocks:
        return {visit: size - latency_s for visit, latency_s in log_latencies(cell).items()}
    return {
        visit.key: size + math.log(block.iterations / block.host_s)
        for visit in cell.valid
        if (block := visit.back_to_back)
    }
