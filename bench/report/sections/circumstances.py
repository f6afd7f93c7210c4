"""The command, the environment, the plan and the wall time of a run."""

from collections.abc import Iterator, Mapping

import pandas as pd

from bench.columns import Column
from bench.records.record import RunRecord
from bench.report import circumstances
from bench.report.blocks import Block, Prose, Table, Verbatim
from bench.report.section import Section, Source


def blocks(run: RunRecord) -> Iterator[Block]:
    """Yield the circumstances of a run."""
    if run.plan.command is not None:
        yield Verbatim(label="Command", text=run.plan.command)
    yield _pairs("fact", "Environment", circumstances.facts(run))
    yield _pairs("plan", "Plan", circumstances.plan(run))
    yield _pairs("wall time, s", "Wall time", circumstances.wall_time_s(run))
    if effect := circumstances.environment_effect(run):
        yield Prose(text=f"Workers started in the environment {run.plan.environment}: {effect}.")
        yield Table(
            title="Environment variables of the workers, with reasons",
            columns=circumstances.SETTING_COLUMNS,
            rows=circumstances.settings(run),
        )


def _pairs(heading: str, title: str, values: Mapping[str, object]) -> Table:
    columns = (
        Column(name="name", heading=heading, is_text=True),
        Column(name="value", heading="value", is_text=True),
    )
    rows = {"name": list(values), "value": [str(value) for value in values.values()]}
    return Table(title=title, columns=columns, rows=pd.DataFrame(rows))


def _build(source: Source) -> Iterator[Block]:
    yield from blocks(source.run)


CIRCUMSTANCES = Section(name="circumstances", title="Circumstances", build=_build, order=120)
