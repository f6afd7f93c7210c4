"""The first lines of a report: what was compared, where, and the best results. Pure."""

from collections.abc import Iterator, Mapping

from bench.cells.cell import Cell
from bench.columns import milliseconds, scaled, telling_apart
from bench.records.comparability import CIRCUMSTANCES
from bench.records.record import CellRecord, RunRecord
from bench.report import fastest
from bench.report.summary import GROUPED_BY
from bench.trust import wording
from bench.units import counted

NAMED = 2  # groups; more would not be read at a glance


def title(run: RunRecord) -> str:
    """Return the title: the number of networks and modes with figures, and the device.

    If no cell has figures, all cells count. The sign × means that every network has figures in
    every mode.
    """
    records = [record for group in run.measured.values() for record in group] or run.cells
    pairs = {(record.cell.arch, record.cell.mode) for record in records}
    archs, modes = ({pair[position] for pair in pairs} for position in (0, 1))
    between = " × " if len(pairs) == len(archs) * len(modes) else ", "
    compared = f"{counted(len(archs), 'network')}{between}{counted(len(modes), 'mode')}"
    return f"{compared}{_where(run)}"


def about(run: RunRecord) -> Iterator[str]:
    """Yield short facts about a run: PyTorch's version, its size, its profile and its date."""
    if run.environment.torch:
        yield f"PyTorch {run.environment.torch}"
    yield counted(len(run.cells), "cell")
    if run.plan.profile is not None:
        yield f"profile {run.plan.profile}"
    if run.datetime:
        yield f"measured {run.datetime[:16].replace('T', ' ')} UTC"


def lead(run: RunRecord) -> Iterator[str]:
    """Yield the fastest cell of each group in a sentence, and whether the run can be trusted."""
    if not run.measured:
        return
    names = _names([records[0].cell for records in run.measured.values()])
    for group, records in list(run.measured.items())[:NAMED]:
        what = "Lowest latency" if len(records) > 1 else "Latency"
        of_group = f" with {names[group]}" if names[group] else ""
        yield f"{what}{of_group}: {_fastest(records, run.reference(group))}."
    if (more := len(run.measured) - NAMED) > 0:
        yield f"The table below has {counted(more, 'more group')}."
    yield wording.verdict(run, names)


def _where(run: RunRecord) -> str:
    """Return the device as the end of a title; facts that are unknown are left out."""
    about = run.environment
    if not about.device_name:
        return ""
    if about.device != "cpu":
        return f" on {about.device_name}"
    machine = CIRCUMSTANCES["machine"](run)
    family, cores = machine.get("cpu_family"), machine.get("physical_cores")
    of_family = "" if family is None else f" (family {family})"
    on_cores = "" if cores is None else f", {counted(cores, 'core')}"
    return f" on {about.device_name}{of_family}{on_cores}"


def _names(cells: list[Cell]) -> Mapping[str, str]:
    """Return what distinguishes each group from the others: ``batch 8``; empty for one."""
    varying = [name for name in GROUPED_BY if len({getattr(cell, name) for cell in cells}) > 1]
    return {cell.group: _factors(cell, varying) for cell in cells}


def _factors(cell: Cell, names: list[str]) -> str:
    values = {name: str(getattr(cell, name)) for name in names}
    return ", ".join(
        f"batch {value}" if name == "batch_size" else value for name, value in values.items()
    )


def _fastest(records: tuple[CellRecord, ...], reference: CellRecord | None) -> str:
    """Return the fastest cell of a group, its latency, its speedup if shown, and its ties."""
    best = fastest.find(records, reference)
    text = f"{best.record.cell.name}, {milliseconds(best.latency.estimate)} ms"
    ratio = best.over_reference
    if ratio is not None and ratio.low > 1:
        write = telling_apart(scaled(1, 2), ratio.low, ratio.high, 1.0)
        text += f", {write(ratio.estimate)} times as fast as {best.reference}"
    if best.close:
        text += f"; {counted(len(best.close), 'other')} may be as fast"
    return text
