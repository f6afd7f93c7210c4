"""The samples, round by round."""

from collections.abc import Iterator

from bench.report.blocks import Block, Folded
from bench.report.section import Section, Source


def _build(source: Source) -> Iterator[Block]:
    pictures = tuple(source.pictures("drift-"))
    yield Folded(summary="The samples of every cell, round by round", blocks=pictures)


DRIFT = Section(name="drift", title="Drift of the machine", label="Drift", build=_build, order=100)
