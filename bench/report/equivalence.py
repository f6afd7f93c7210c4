"""Twins: two people's code of one network, the check on ourselves. Pure."""

from collections.abc import Iterator, Sequence

from bench import stats
from bench.records.record import CellRecord
from bench.report import ladder
from bench.report.phrases import times
from bench.units import in_mib

# What may tell two networks apart that compute the same, by what each worker's setup says.
_FACTS = {
    "graphs": "graphs",
    "graph_breaks": "graph breaks",
    "weights_bytes": "bytes of weights",
    "peak_memory_bytes": "peak bytes",
}


def sentences(records: Sequence[CellRecord], reference: CellRecord | None) -> Iterator[str]:
    """The check on ourselves: two people's code of one network."""
    by_cell = {(record.cell.arch, record.cell.mode): record for record in records}
    modes = dict.fromkeys(record.cell.mode for record in records)
    for step in ladder.steps({record.cell.arch for record in records}):
        pairs = [(by_cell.get((step.before, m)), by_cell.get((step.after, m)), m) for m in modes]
        told = [
            _same(ours, theirs, mode, reference) for ours, theirs, mode in pairs if ours and theirs
        ]
        if step.is_same_network and told:
            yield (
                f"{step.before} and {step.after} are the same network in two people's code, so "
                f"their ratio should be 1: {'; '.join(told)}."
            )


def _same(ours: CellRecord, theirs: CellRecord, mode: str, reference: CellRecord | None) -> str:
    ratio = stats.speedup(theirs, ours, beside=reference)
    says = ladder.shown(ratio, above="faster", below="slower")
    if says == ladder.NOT_TOGETHER:
        return f"{says} in {mode}"
    if says == ladder.NOTHING_SHOWN:
        return f"{times(ratio)} in {mode}"
    return (
        f"{times(ratio)} in {mode}, {theirs.cell.arch} being {says}, which is a difference: "
        f"{_why(ours, theirs)}"
    )


def _why(ours: CellRecord, theirs: CellRecord) -> str:
    """What else the two differ in that was counted: where an explanation has to be looked for."""
    differing = []
    for name, what in _FACTS.items():
        if name == "peak_memory_bytes" and ours.cell.device == "cpu":
            continue  # of the resident set, which is never twice the same
        found = [
            max((setup[name] for setup in record.setups if setup.get(name) is not None), default=0)
            for record in (ours, theirs)
        ]
        if found[0] != found[1]:
            unit = [in_mib(value) if "bytes" in name else value for value in found]
            differing.append(f"{what} ({unit[0]} and {unit[1]})")
    counts = [
        (record.cost.get("params"), record.cost.get("macs_per_image")) for record in (ours, theirs)
    ]
    same = "parameters and MACs are the same" if counts[0] == counts[1] else "the counts differ"
    if not differing:
        aside = " (memory aside)" * (ours.cell.device == "cpu")
        return f"{same}, and so is all else that was counted{aside}: nothing here explains it"
    return f"{same}, but not {', '.join(differing)}"
