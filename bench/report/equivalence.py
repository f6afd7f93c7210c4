"""Comparison of two implementations of the same network, as a check of the measurement. Pure."""

from collections.abc import Iterator, Sequence

from bench import stats
from bench.records.record import CellRecord
from bench.report import ladder, ladder_table
from bench.report.phrases import ratio_text
from bench.units import in_mib

# Setup facts that may differ between two networks that compute the same, and explain a difference.
_FACTS = {
    "graphs": "graphs",
    "graph_breaks": "graph breaks",
    "weights_bytes": "bytes of weights",
    "peak_memory_bytes": "peak bytes",
}


def sentences(records: Sequence[CellRecord], reference: CellRecord | None) -> Iterator[str]:
    """Compare each pair of archs that are two implementations of the same network."""
    by_cell = {(record.cell.arch, record.cell.mode): record for record in records}
    modes = dict.fromkeys(record.cell.mode for record in records)
    for step in ladder.steps({record.cell.arch for record in records}):
        pairs = [(by_cell.get((step.before, m)), by_cell.get((step.after, m)), m) for m in modes]
        results = [
            _compare(before, after, mode, reference)
            for before, after, mode in pairs
            if before and after
        ]
        if step.is_same_network and results:
            yield (
                f"{step.before} and {step.after} are two implementations of the same network, so "
                f"their ratio should be 1: {'; '.join(results)}."
            )


def _compare(before: CellRecord, after: CellRecord, mode: str, reference: CellRecord | None) -> str:
    ratio = stats.speedup(after, before, reference=reference)
    difference = ladder_table.effect_shown(ratio, above="faster", below="slower")
    if difference == ladder_table.NOT_TOGETHER:
        return f"{difference} in {mode}"
    if difference == ladder_table.NOTHING_SHOWN:
        return f"{ratio_text(ratio)} in {mode}"
    return (
        f"{ratio_text(ratio)} in {mode}: {after.cell.arch} is {difference} ({_why(before, after)})"
    )


def _why(before: CellRecord, after: CellRecord) -> str:
    """Return the counted facts in which the two differ, as hints to the cause."""
    differing = []
    for name, what in _FACTS.items():
        if name == "peak_memory_bytes" and before.cell.device == "cpu":
            continue  # derived from the resident set, which differs from run to run
        values = [
            max((getattr(setup, name) or 0 for setup in record.setups), default=0)
            for record in (before, after)
        ]
        if values[0] != values[1]:
            shown = [in_mib(value) if "bytes" in name else value for value in values]
            differing.append(f"{what} ({shown[0]} and {shown[1]})")
    counts = [(record.cost.params, record.cost.macs_per_image) for record in (before, after)]
    same = (
        "parameters and MACs are equal" if counts[0] == counts[1] else "parameters or MACs differ"
    )
    if not differing:
        except_memory = " except memory" * (before.cell.device == "cpu")
        return f"{same}; all other counts{except_memory} are equal, so the cause is unknown"
    return f"{same}; these differ: {', '.join(differing)}"
