"""The findings, in sentences."""

from collections.abc import Iterator

from bench.report import findings, stage_findings
from bench.report.blocks import Block, Folded, Heading, Prose, Sentences
from bench.report.section import Section, Source
from bench.units import counted

_TEXT = """\
A difference is reported as shown only if the 95 % interval of its ratio does not contain 1. Of
twenty comparisons of equal things, one is shown by chance; if only a few differences are shown,
most of them may be chance. Ratios to the same reference are not independent: if its processes were
slow by chance, all of the ratios are too high.
"""


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
        if group.not_shown:
            summary_line = f"No difference shown: {counted(len(group.not_shown), 'comparison')}"
            yield Folded(summary=summary_line, blocks=(Sentences(sentences=group.not_shown),))
    yield Prose(text=_TEXT)


FINDINGS = Section(name="findings", title="Findings", build=_build, order=30)
