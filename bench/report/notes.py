"""Notes: what a reader must know of a run's circumstances and single cells, in sentences. Pure."""

from collections.abc import Iterator

from bench import stats
from bench.records.record import RunRecord
from bench.report import card, states
from bench.report.words import named

_COUNTED = {
    "recompiled_graphs": "compiled {} more graphs while it was measured",
    "late_graph_breaks": "broke its graph {} more times while it was measured",
    "graph_breaks": "its graph breaks {} times",
    "recompiled_in_warm_up": "compiled {} more graphs while it was warmed up",
    "cudagraph_skips": "Inductor cannot replay {} of its graphs as CUDA graphs",
}


def of(run: RunRecord) -> list[str]:
    """What a reader must know of single cells before trusting their figures, in sentences."""
    return [
        *run.notes,
        *card.notes(run),
        *_devices(run),
        *states.sentences(run),
        *_trimmed(run),
        *(
            f"{record.cell.id}: {what.format(most)}."
            for record in run.cells
            if record.failure is None or record.failure.kind != "recompiled"  # its reason says it
            for name, what in _COUNTED.items()
            if (most := max((setup.get(name) or 0 for setup in record.setups), default=0))
        ),
    ]


def _trimmed(run: RunRecord) -> Iterator[str]:
    """Which ratios are of trimmed means."""
    for group, records in run.measured.items():
        to = run.reference(group)
        if to is None:
            continue
        found = [named(record) for record in records if stats.speedup(record, to).trimmed]
        if found:
            yield (
                f"{group}: a set of each of these is far from its others, so that the ratio to "
                f"{named(to)} is a trimmed mean, without that set and the one at the other end: "
                f"{', '.join(found)}."
            )


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
