"""Notes on the circumstances of a run and on single cells, in sentences. Pure."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType

from bench import means, stats
from bench.records.counted import notes_on
from bench.records.record import CellRecord, RunRecord
from bench.records.run_cache import cached_per_run
from bench.report import ladder
from bench.trust import card_state, drift_correlation
from bench.units import counted

_COUNTED: Mapping[str, Callable[[int], str]] = MappingProxyType(
    {
        "recompiled_graphs": lambda count: (
            f"compiled {counted(count, 'more graph')} during the measurement"
        ),
        "late_graph_breaks": lambda count: (
            f"had {counted(count, 'more graph break')} during the measurement"
        ),
        "graph_breaks": lambda count: f"has {counted(count, 'graph break')}",
        "recompiled_in_warm_up": lambda count: (
            f"compiled {counted(count, 'more graph')} during warm-up"
        ),
        "cudagraph_skips": "Inductor cannot replay {} of its graphs as CUDA graphs".format,
    }
)


@cached_per_run
def collect(run: RunRecord) -> list[str]:
    """Return the notes that a reader needs before trusting the figures."""
    return [
        *run.notes,
        *card_state.notes(run),
        *_devices(run),
        *drift_correlation.sentences(run),
        *_trimmed(run),
        *_reserved(run),
        *_counts(run),
        *(
            f"{record.cell.id}: {what(most)}."
            for record in run.cells
            if record.failure is None or record.failure.kind != "recompiled"  # its failure says so
            for name, what in _COUNTED.items()
            if (most := max((getattr(setup, name) or 0 for setup in record.setups), default=0))
        ),
    ]


def _counts(run: RunRecord) -> Iterator[str]:
    """State the limits of the counts of each measured arch."""
    measured = (record for record in run.cells if record.has_figures)
    for arch, cost in {record.cell.arch: record.cost for record in measured}.items():
        yield from (f"{arch}: {note}." for note in notes_on(cost))


def _trimmed(run: RunRecord) -> Iterator[str]:
    """Name the ratios that are trimmed means, among those to a reference and the ladder's steps."""
    for group, records in run.measured.items():
        sets = {visit.set_index for record in records for visit in record.valid}
        if len(sets) < means.MIN_TRIMMED_SETS:
            continue
        controls = [
            record for record in run.controls if record.cell.group == group and record.has_figures
        ]
        pairs = [*stats.ratios([*records, *controls]), *_steps(records)]
        reference = run.reference(group)
        names = [
            f"{record.cell.name} to {other.cell.name}"
            for record, other in pairs
            if stats.speedup(record, other, reference=reference).trimmed
        ]
        if names:
            yield (
                f"{group}: in these ratios one set is far from the others, so they are trimmed "
                f"means, without a fifth of the sets at each end: {', '.join(names)}."
            )


def _reserved(run: RunRecord) -> Iterator[str]:
    """Name the cells whose memory is what the allocator reserves."""
    cells = [
        record.cell.id
        for record in run.cells
        if record.has_figures and any(setup.memory_is_reserved for setup in record.setups)
    ]
    if cells:
        yield (
            "CUDA graphs never release their workspace, so the memory of these cells is the peak "
            "of what the allocator keeps (reserved); do not compare it with allocated memory: "
            f"{', '.join(cells)}."
        )


def _steps(records: Sequence[CellRecord]) -> Iterator[tuple[CellRecord, CellRecord]]:
    for mode in dict.fromkeys(record.cell.mode for record in records):
        of_mode = {record.cell.arch: record for record in records if record.cell.mode == mode}
        for step in ladder.steps(of_mode):
            yield of_mode[step.after], of_mode[step.before]


def _devices(run: RunRecord) -> Iterator[str]:
    """State which device measured which sets, if there are several devices."""
    devices = run.plan.devices or ()
    if len(devices) < 2:
        return
    sets = sorted({visit.set_index for record in run.cells for visit in record.visits})
    parts = []
    for index, device in enumerate(devices):
        numbers = [str(number + 1) for number in sets if number % len(devices) == index]
        if numbers:
            parts.append(f"{device} set{'s' * (len(numbers) > 1)} {', '.join(numbers)}")
    yield (
        f"The sets were distributed over {len(devices)} devices of the same model in turn: "
        f"{'; '.join(parts)}. The intervals include the differences between the devices."
    )
