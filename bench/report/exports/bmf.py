"""Bencher Metric Format (BMF), https://bencher.dev/docs/reference/bencher-metric-format/.

Bencher's default measures are latency in nanoseconds and throughput in operations per second. An
image is an operation. The bounds are those of the 95 % interval over sets.
"""

import json
import math

from bench import stats
from bench.means import Interval
from bench.records.record import RunRecord
from bench.report.exports.export import Export, measured

_NS_PER_S = 1e9


def render(run: RunRecord) -> str:
    """Return a benchmark for each cell; with one set there are no bounds."""
    benchmarks = {
        record.cell.id: {
            "latency": _metric(stats.latency(record), _NS_PER_S),
            "throughput": _metric(stats.throughput(record)),
        }
        for record in measured(run)
    }
    return json.dumps(benchmarks, indent=2, allow_nan=False)


def _metric(interval: Interval, factor: float = 1.0) -> dict[str, float]:
    values = {
        "value": interval.estimate,
        "lower_value": interval.low,
        "upper_value": interval.high,
    }
    return {name: factor * value for name, value in values.items() if not math.isnan(value)}


BMF = Export(name="bmf", what="Bencher's metric format", render=render)
