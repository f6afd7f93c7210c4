"""Whether the run can be trusted: its notices, control, precision, voided rounds and notes."""

from collections.abc import Iterator

from bench.records.record import RunRecord
from bench.report import circumstances, explanations, notes
from bench.report.blocks import Block, Checks, Folded, Heading, Notice, Prose, Sentences, Table
from bench.report.checks import run_checks
from bench.report.section import DataTable, Rows, Section, Source
from bench.trust import assessment


def _build(source: Source) -> Iterator[Block]:
    run, groups = source.run, assessment.assess(source.run)
    if partial := circumstances.PARTIAL.get(run.status, run.status):
        yield Notice(label="Partial", text=partial)
    for sentence in assessment.warnings(run):
        yield Notice(label="Warning", text=sentence)
    yield Checks(checks=run_checks(run, groups))
    if groups:
        columns, rows = _trust(run)
        yield Table(title="Control and voided rounds", columns=columns, rows=rows)
        text = f"{explanations.TRUST}\n{explanations.explain_trust(groups)}"
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


VALIDITY = Section(
    name="validity",
    title="Can this run be trusted?",
    label="Validity",
    build=_build,
    tables={"trust": DataTable(compute=_trust)},
    order=30,
)
