"""Where the time goes in each network that ``googlenet-bench stages`` measured."""

from collections.abc import Iterator

from bench.report.blocks import Block, Folded, Prose, Table
from bench.report.section import Section, Source
from bench.stages import table


def _build(source: Source) -> Iterator[Block]:
    if source.inside is None:
        return
    yield from source.pictures("stages-")
    for title, rows in table.titled(source.inside):
        yield Folded(
            summary=f"Every stage and branch of {title}",
            blocks=(
                Table(title=f"Stages of {title}", columns=table.columns(rows), rows=rows),
                Prose(text=table.balance(rows)),
            ),
        )
    yield Folded(summary="How stages are timed", blocks=(Prose(text=table.notes(source.inside)),))


STAGES = Section(name="stages", title="Inside the network", label="Stages", build=_build, order=80)
