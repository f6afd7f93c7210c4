"""Whether the run can be trusted: its notices, control, precision, voided rounds and notes."""

import math
from collections.abc import Iterator, Sequence

from bench.machine import voiding
from bench.records.record import RunRecord
from bench.report import circumstances, notes
from bench.report.blocks import Block, Checks, Folded, Heading, Notice, Prose, Sentences, Table
from bench.report.checks import run_checks
from bench.report.section import DataTable, Rows, Section, Source
from bench.trust import assessment, wording
from bench.trust.assessment import Trust

_CONTROL = """\
The control is the reference measured a second time, in a separate worker. Its ratio should be 1; if
the 99 % interval does not contain 1, do not trust any figure here. Sets were added until the 95 %
interval of every ratio was as narrow as the requested precision, or time was up. With few ratios,
the intervals are therefore slightly too narrow (with one ratio, 89 to 95 in 100 contain the truth).
A round was voided as a whole if other processes kept the CPUs busy, independent of its timing.
"""
_CARD = """\
A round was also voided if the card was slowed down because of its temperature or the power supply's
alarm, or if another process used it, as far as its driver reports that. A card at its power limit
is reported, but its rounds count.
"""
_DISTURBED = f"""\
In the other rounds, an iteration is disturbed if its threads were ready to run while other
processes used the CPU, for more than {voiding.MOST_WAITED:.0%} of its time by Linux's accounts. It
does not count and was repeated, at most as often as there were iterations to time. If too few
undisturbed iterations remained, the least disturbed ones count. If more threads ran than there are
CPUs, as in training on a CPU, the disturbance is unknown and every iteration counts.
"""


def _build(source: Source) -> Iterator[Block]:
    run, groups = source.run, assessment.assess(source.run)
    if partial := circumstances.PARTIAL.get(run.status, run.status):
        yield Notice(label="Partial", text=partial)
    for sentence in wording.warnings(run):
        yield Notice(label="Warning", text=sentence)
    yield Checks(checks=run_checks(run, groups))
    if groups:
        columns, rows = _trust(run)
        yield Table(title="Control and voided rounds", columns=columns, rows=rows)
        text = f"{_CONTROL}\n{_more(groups)}"
        yield Folded(summary="How this is judged", blocks=(Prose(text=text),))
    else:
        yield Prose(
            text="No control was measured, so real differences cannot be distinguished from noise."
        )
    if sentences := notes.collect(run):
        yield Heading(text="Notes")
        yield Sentences(sentences=sentences)


def _trust(run: RunRecord) -> Rows:
    rows = assessment.table(assessment.assess(run))
    return assessment.columns(rows), rows


def _more(groups: Sequence[Trust]) -> str:
    """Explain voiding by the card's state, and disturbed iterations, if either is known."""
    known = (
        (_CARD, any(group.voided_by is not None for group in groups)),
        (_DISTURBED, not all(math.isnan(group.disturbed_share) for group in groups)),
    )
    return "\n".join(text for text, is_known in known if is_known)


VALIDITY = Section(
    name="validity",
    title="Can this run be trusted?",
    label="Validity",
    build=_build,
    tables={"trust": DataTable(compute=_trust)},
    order=40,
)
