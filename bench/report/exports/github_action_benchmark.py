"""The JSON of github-action-benchmark's tool ``customSmallerIsBetter``: latencies.

https://github.com/benchmark-action/github-action-benchmark#examples describes it.
"""

import json
import math
from typing import Any

from bench import stats
from bench.columns import milliseconds
from bench.records.record import CellRecord, RunRecord
from bench.report.exports.export import Export, measured
from bench.units import counted

_MS_PER_S = 1e3


def render(run: RunRecord) -> str:
    """Return an entry for each cell, with its latency in milliseconds."""
    entries = [_entry(record, run) for record in measured(run)]
    return json.dumps(entries, indent=2, ensure_ascii=False, allow_nan=False)


def _entry(record: CellRecord, run: RunRecord) -> dict[str, Any]:
    latency = stats.latency(record)
    entry: dict[str, Any] = {
        "name": record.cell.id,
        "unit": "ms",
        "value": latency.estimate * _MS_PER_S,
    }
    if not math.isnan(latency.low):
        bounds = f"{milliseconds(latency.low)}–{milliseconds(latency.high)}"
        entry["range"] = f"95 % interval {bounds}"
    facts = [
        f"{stats.throughput(record).estimate:,.1f} images/s",
        counted(latency.sets, "set"),
        counted(len(record.host_s), "sample"),
    ]
    if run.environment.torch:
        facts.append(f"torch {run.environment.torch}")
    return {**entry, "extra": "\n".join(facts)}


GITHUB_ACTION_BENCHMARK = Export(
    name="github-action-benchmark",
    what="JSON for github-action-benchmark (customSmallerIsBetter)",
    render=render,
)
