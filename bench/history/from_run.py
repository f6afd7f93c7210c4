"""The entry of a run: its cells, and every metric of each that is a number."""

import math
from collections.abc import Iterator, Sequence

from bench import metrics
from bench.history.entry import (
    GATE,
    MEASURED,
    RUN,
    About,
    CellEntry,
    Entry,
    Figure,
    Machine,
    digest,
    read_branch,
    read_commit,
    read_dirty,
    read_time,
)
from bench.means import Interval
from bench.metrics.metric import MeasuredCell, Metric, Value
from bench.records.comparability import CIRCUMSTANCES
from bench.records.record import CellRecord, RunRecord

HARDWARE = ("device", "machine")
"""The circumstances that identify a machine."""


def entry(run: RunRecord) -> Entry:
    """Return the entry of a run; that of a gate has the cells of head.

    Raises ``RequestError`` if the run has no date.
    """
    about = run.environment
    applying = list(metrics.applying(run))
    cells = tuple(_cell(record, run, applying) for record in run.cells)
    known = {figure.metric for cell in cells for figure in cell.figures}
    commit = read_commit(run.commit_info)
    return Entry(
        run_id=run.run_id or _id(run),
        kind=RUN if run.gate is None else GATE,
        when=read_time(run.datetime),
        commit=commit or (run.code.commit if run.code else None),
        branch=read_branch(run.commit_info),
        dirty=read_dirty(run.commit_info),
        code=run.code.digest if run.code else None,
        status=run.status,
        command=run.plan.command or "",
        machine=_machine(run),
        torch=about.torch or "",
        python=about.python or "",
        threads=about.threads,
        cells=cells,
        metrics=tuple(_about(metric) for metric in applying if metric.name in known),
    )


def _id(run: RunRecord) -> str:
    """Return an id for a run of an earlier schema, which has none: a digest of its samples."""
    samples = [[record.cell.id, record.host_s] for record in run.cells]
    return digest([run.datetime, run.commit_info.get("id"), samples])


def _machine(run: RunRecord) -> Machine:
    facts = {name: fact for of in HARDWARE for name, fact in CIRCUMSTANCES[of](run).items()}
    name = run.environment.device_name or run.environment.cpu
    return Machine(name=name or "unknown", facts=facts)


def _cell(record: CellRecord, run: RunRecord, applying: Sequence[Metric]) -> CellEntry:
    cell, measured = record.cell, MeasuredCell.of_run(record, run)
    return CellEntry(
        cell=cell.id,
        arch=cell.arch,
        mode=cell.mode,
        dtype=cell.dtype,
        batch_size=cell.batch_size,
        task=cell.task,
        device=cell.device,
        image_size=_image_size(record, run),
        reference=measured.reference.id if measured.reference else "",
        status=_status(record),
        figures=tuple(_figures(measured, applying)),
    )


def _status(record: CellRecord) -> str:
    if record.has_figures:
        return MEASURED
    return record.failure.kind if record.failure else "not measured"


def _image_size(record: CellRecord, run: RunRecord) -> str:
    """Return the size of the images or the shapes of the inputs; empty if it is unknown."""
    for setup in record.setups:
        if setup.image_size or setup.input_shapes:
            return str(setup.image_size or ", ".join(setup.input_shapes))
    planned = run.plan.image_size  # of a file from before workers reported it
    return str(planned) if isinstance(planned, int) else ""


def _figures(measured: MeasuredCell, applying: Sequence[Metric]) -> Iterator[Figure]:
    for metric in applying:
        if (figure := _figure(metric.name, metric.compute(measured))) is not None:
            yield figure


def _figure(name: str, value: Value) -> Figure | None:
    """Return the figure of a value, 1 for True; None if it is unknown, infinite or a text."""
    if isinstance(value, Interval):
        if not math.isfinite(value.estimate):
            return None
        if not (math.isfinite(value.low) and math.isfinite(value.high)):
            return Figure(metric=name, value=value.estimate)
        return Figure(metric=name, value=value.estimate, low=value.low, high=value.high)
    if value is None or isinstance(value, str) or not math.isfinite(value):
        return None
    return Figure(metric=name, value=float(value))


def _about(metric: Metric) -> About:
    return About(
        name=metric.name,
        unit=metric.unit,
        better=None if metric.better is None else str(metric.better),
        neutral=metric.neutral,
    )
