"""The entry of a file of pytest-benchmark from another project.

Its samples come from one process, so that no interval over processes is known: the quartiles are
figures of their own, and not the ends of an interval.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from bench.history.entry import (
    PYTEST_BENCHMARK,
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
from bench.records.pytest_benchmark import Benchmark, PytestBenchmarkFile

MEDIAN = About(name="median_s", unit="s", better="less")
METRICS = (
    MEDIAN,
    About(name="q1_s", unit="s", better="less"),
    About(name="q3_s", unit="s", better="less"),
    About(name="rounds"),
)
_IDENTITY = ("brand_raw", "arch", "count", "family", "model", "stepping")
"""Facts of py-cpuinfo that identify a CPU; its frequencies vary from call to call."""


def entry(content: PytestBenchmarkFile) -> Entry:
    """Return the entry of a file. Raises ``RequestError`` if the file has no date."""
    facts = content.machine_info
    return Entry(
        run_id=digest(msgspec.to_builtins(content)),
        kind=PYTEST_BENCHMARK,
        when=read_time(content.datetime),
        commit=read_commit(content.commit_info),
        branch=read_branch(content.commit_info),
        dirty=read_dirty(content.commit_info),
        code=None,
        status="complete",
        command="",
        machine=_machine(facts),
        torch="",
        python=str(facts.get("python_version") or ""),
        threads=None,
        cells=tuple(
            CellEntry(cell=each.fullname, figures=tuple(_figures(each)))
            for each in content.benchmarks
        ),
        metrics=METRICS,
    )


def _machine(facts: Mapping[str, Any]) -> Machine:
    cpu = facts.get("cpu")
    known = cpu if isinstance(cpu, Mapping) else {}
    return Machine(
        name=str(known.get("brand_raw") or facts.get("processor") or "unknown"),
        facts={
            **{name: known.get(name) for name in _IDENTITY},
            **{name: facts.get(name) for name in ("machine", "system")},
        },
    )


def _figures(benchmark: Benchmark) -> Iterator[Figure]:
    values = (
        benchmark.stats.median,
        benchmark.stats.q1,
        benchmark.stats.q3,
        float(benchmark.stats.rounds),
    )
    for metric, value in zip(METRICS, values, strict=True):
        yield Figure(metric=metric.name, value=value)
