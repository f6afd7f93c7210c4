"""Notes: what a reader must know of a run's circumstances and single cells, in sentences. Pure."""

from collections.abc import Iterator, Sequence

from bench import means, stats
from bench.records.counted import notes_on
from bench.records.record import CellRecord, RunRecord
from bench.report import card, drift_correlation, ladder
from bench.report.phrases import named
from bench.report.run_cache import cached_per_run

_COUNTED = {
    "recompiled_graphs": "compiled {} more graphs while it was measured",
    "late_graph_breaks": "broke its graph {} more times while it was measured",
    "graph_breaks": "its graph breaks {} times",
    "recompiled_in_warm_up": "compiled {} more graphs while it was warmed up",
    "cudagraph_skips": "Inductor cannot replay {} of its graphs as CUDA graphs",
}


@cached_per_run
def collect(run: RunRecord) -> list[str]:
    """What a reader must know of single cells before trusting their figures, in sentences."""
    return [
        *run.notes,
        *card.notes(run),
        *_devices(run),
        *drift_correlation.sentences(run),
        *_trimmed(run),
        *_counts(run),
        *(
            f"{record.cell.id}: {what.format(most)}."
            for record in run.cells
            if record.failure is None or record.failure.kind != "recompiled"  # its reason says it
            for name, what in _COUNTED.items()
            if (most := max((setup.get(name) or 0 for setup in record.setups), default=0))
        ),
    ]


def _counts(run: RunRecord) -> Iterator[str]:
    """How far the counts of each measured arch can be relied on."""
    measured = (record for record in run.cells if record.has_figures)
    for arch, cost in {record.cell.arch: record.cost for record in measured}.items():
        yield from (f"{arch}: {note}." for note in notes_on(cost))


def _trimmed(run: RunRecord) -> Iterator[str]:
    """Which ratios are of trimmed means: those to a reference, and steps of the ladder."""
    for group, records in run.measured.items():
        sets = {visit.set_index for record in records for visit in record.valid}
        if len(sets) < means.LEAST_TRIMMED_SETS:
            continue
        controls = [one for one in run.controls if one.cell.group == group and one.has_figures]
        pairs = [*stats.ratios([*records, *controls]), *_steps(records)]
        beside = run.reference(group)
        found = [
            f"{named(one)} to {named(other)}"
            for one, other in pairs
            if stats.speedup(one, other, beside=beside).trimmed
        ]
        if found:
            yield (
                f"{group}: of these ratios a set is far from the others, so that they are trimmed "
                f"means, without the outermost fifth of the sets at each end: {', '.join(found)}."
            )


def _steps(records: Sequence[CellRecord]) -> Iterator[tuple[CellRecord, CellRecord]]:
    for mode in dict.fromkeys(record.cell.mode for record in records):
        of_mode = {one.cell.arch: one for one in records if one.cell.mode == mode}
        for step in ladder.steps(of_mode):
            yield of_mode[step.after], of_mode[step.before]


def _devices(run: RunRecord) -> Iterator[str]:
    """Which device measured which set, where there are several."""
    devices = list(run.plan.get("devices", ()))
    if len(devices) < 2:
        return
    sets = sorted({visit.set_index for record in run.cells for visit in record.visits})
    told = []
    for index, device in enumerate(devices):
        own = [str(number + 1) for number in sets if number % len(devices) == index]
        if own:
            told.append(f"{device} set{'s' * (len(own) > 1)} {', '.join(own)}")
    yield (
        f"Sets were dealt out to {len(devices)} devices of one model, one after the other: "
        f"{'; '.join(told)}. What tells one device from the next is in the intervals."
    )
