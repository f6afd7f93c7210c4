"""The decision: the fastest candidate of the final run, whose sets are fresh.

The steps before only choose the finalists, so their figures, of which the largest is likely to be
too large, decide nothing. The final run compares its fastest candidate with each other one. These
intervals have together 95 %: with k candidates, each has the confidence 1 - 0.05/(k - 1). That
suffices although the fastest is known only afterwards, because a wrong decision is one against
the single true best (Hsu 1981, "Simultaneous confidence intervals for all distances from the
best").
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from bench import stats
from bench.best.candidate import Candidate, remaining
from bench.cells.cell import Cell
from bench.means import CONFIDENCE, Interval
from bench.records.record import CellRecord, RunRecord
from bench.report.phrases import ratio_text, shortened_list

BEST, MOST_LIKELY = "best", "most likely, but not decided"
SAME = 1.05
"""Candidates are equally good if the interval of their ratio contains 1 and ends below this factor:
the simplest wins."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The winner of one batch size."""

    batch_size: int
    winner: Candidate | None
    """None if every candidate failed, or nothing was measured."""
    sentences: tuple[str, ...]
    is_decided: bool
    """Whether the final run shows that no other candidate is faster by more than ``SAME``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The candidates with their verdicts, and the decision of each batch size."""

    candidates: list[Candidate]
    decisions: tuple[Decision, ...]
    notes: tuple[str, ...] = ()
    """Sentences on the whole tournament, such as why it ended early."""


def decide(
    candidates: list[Candidate], run: RunRecord | None, *, is_final: bool, notes: tuple[str, ...]
) -> Result:
    """Return the winners of all batch sizes.

    ``run`` is the final run or, if there is none (``is_final``), the last that was measured.
    """
    decisions = []
    for batch_size in dict.fromkeys(each.cell.batch_size for each in candidates):
        own = [
            each
            for each in candidates
            if each.cell.batch_size == batch_size
            if each.dropped is None or each.dropped.is_unmeasured
        ]
        decisions.append(_decide(own, run, batch_size, is_final=is_final))
    winners = {
        each.winner.cell: BEST if each.is_decided else MOST_LIKELY
        for each in decisions
        if each.winner
    }
    judged = [replace(each, verdict=_verdict(each, winners.get(each.cell))) for each in candidates]
    return Result(candidates=judged, decisions=tuple(decisions), notes=notes)


def _decide(
    own: list[Candidate], run: RunRecord | None, batch_size: int, *, is_final: bool
) -> Decision:
    records = {record.cell: record for record in run.cells if record.has_figures} if run else {}
    known = [each for each in remaining(own) if each.cell in records and each.speedup is not None]
    if not known:
        why = "every candidate failed" if not own else "too little was measured"
        return Decision(
            batch_size=batch_size,
            winner=None,
            sentences=(f"At batch {batch_size} nothing wins: {why}.",),
            is_decided=not own,
        )
    reference = run.reference(known[0].cell.group) if run else None
    comparison = _Comparison(known, records, reference)
    winner = comparison.winner()
    open_ = comparison.open(winner)
    is_decided = is_final and not open_
    return Decision(
        batch_size=batch_size,
        winner=winner,
        sentences=tuple(_sentences(winner, comparison, open_, is_final=is_final)),
        is_decided=is_decided,
    )


class _Comparison:
    """The candidates of one batch size, compared within the rounds of one run."""

    def __init__(
        self,
        known: list[Candidate],
        records: Mapping[Cell, CellRecord],
        reference: CellRecord | None,
    ) -> None:
        self.known = sorted(known, key=lambda each: (-each.estimate, each.tokens))
        self._records = records
        self._reference = reference
        self.confidence = 1 - (1 - CONFIDENCE) / max(1, len(known) - 1)

    def ratio(self, first: Candidate, second: Candidate) -> Interval:
        """Return the speedup of the first over the second, as one of all comparisons."""
        pair = self._records[first.cell], self._records[second.cell]
        return stats.speedup(*pair, self.confidence, reference=self._reference)

    def others(self, winner: Candidate) -> list[Candidate]:
        """Return the other candidates, the fastest first."""
        return [each for each in self.known if each.cell != winner.cell]

    def winner(self) -> Candidate:
        """Return the simplest candidate that is shown to be as fast as the fastest."""
        fastest = self.known[0]
        equal = [
            each
            for each in self.others(fastest)
            if (ratio := self.ratio(fastest, each)).low <= 1 and ratio.high <= SAME
        ]
        return min([fastest, *equal], key=lambda each: (each.tokens, -each.estimate))

    def open(self, winner: Candidate) -> list[Candidate]:
        """Return the candidates that may be faster than the winner by more than ``SAME``."""
        return [
            each for each in self.others(winner) if not self.ratio(winner, each).low >= 1 / SAME
        ]


def _sentences(
    winner: Candidate, comparison: _Comparison, open_: list[Candidate], *, is_final: bool
) -> Iterator[str]:
    batch = f"at batch {winner.cell.batch_size}"
    if not is_final:
        yield f"Not decided {batch}, without a final run: the fastest so far is {winner.name}."
        return
    start = f"Not decided {batch}, most likely" if open_ else f"Best {batch}"
    yield f"{start}: {winner.name}{_over_eager(winner, comparison)}."
    others = comparison.others(winner)
    if not others:
        yield "No other candidate was left for the final run."
        return
    second = others[0]
    ratio = comparison.ratio(winner, second)
    text = f"It is {ratio_text(ratio)} times as fast as the next, {second.name}"
    if ratio.low > 1:
        if not second.is_reference:  # the sentence above says it
            yield f"{text}."
    elif second in open_:
        yield f"{text}: the two are not shown to differ, and too little was measured to say more."
    else:
        simpler = "; it is simpler" if winner.tokens < second.tokens else ""
        yield f"{text}: the two are not shown to differ{simpler}."
    if more := [each.name for each in open_ if each is not second]:
        yield f"Also {shortened_list(more)} may be faster by more than {SAME - 1:.0%}."


def _over_eager(winner: Candidate, comparison: _Comparison) -> str:
    eager = next((each for each in comparison.known if each.is_reference), None)
    if eager is None or eager.cell == winner.cell:
        return ""
    return f", {ratio_text(comparison.ratio(winner, eager))} times as fast as {eager.name}"


def _verdict(candidate: Candidate, as_winner: str | None) -> str:
    if candidate.dropped is not None:
        step = f" in step {candidate.dropped.step}" if candidate.dropped.step else ""
        return f"dropped{step}: {candidate.dropped.why}"
    if as_winner is not None:
        return as_winner
    if candidate.speedup is None or math.isnan(candidate.speedup.estimate):
        return "not measured"
    return "the reference" if candidate.is_reference else "finalist"
