"""How to read the figures."""

from collections.abc import Iterator

from bench.report import explanations
from bench.report.blocks import Block, Prose, Terms
from bench.report.section import Section, Source


def _build(source: Source) -> Iterator[Block]:
    yield Terms(terms=explanations.metrics_shown(source.run))
    yield Prose(text=explanations.INTERVALS)
    if source.run.has_blocks:
        yield Prose(text=explanations.BACK_TO_BACK)


METHOD = Section(name="method", title="How to read this", label="Method", build=_build, order=110)
