"""The findings, in sentences."""

from collections.abc import Iterator

from bench.report import explanations, findings, stage_findings
from bench.report.blocks import Block, Heading, Prose, Sentences
from bench.report.section import Section, Source


def _build(source: Source) -> Iterator[Block]:
    groups = [*findings.find(source.run)]
    if source.inside is not None:
        groups += stage_findings.findings(source.inside)
    if not groups:
        yield Prose(text="Nothing was measured that supports a finding.")
        return
    for group in groups:
        yield Heading(text=group.title)
        yield Sentences(sentences=group.sentences)
    yield Prose(text=explanations.FINDINGS)


FINDINGS = Section(name="findings", title="Findings", build=_build, order=20)
