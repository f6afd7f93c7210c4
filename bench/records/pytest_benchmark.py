"""A file of pytest-benchmark from another project: the statistics of each benchmark.

All samples of a benchmark come from one process, so there are no sets, and no interval over them.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from bench.errors import RequestError
from bench.records import journal, store


class Statistics(msgspec.Struct, frozen=True, kw_only=True):
    """pytest-benchmark's statistics over rounds; times are of one iteration, in seconds."""

    median: float
    q1: float
    q3: float
    iqr: float
    rounds: int
    iterations: int
    """Iterations of a round, which were timed together."""


class Benchmark(msgspec.Struct, frozen=True, kw_only=True):
    """A benchmark of such a file."""

    fullname: str
    """File and name of the test: unique in a file."""
    group: str | None = None
    stats: Statistics


class PytestBenchmarkFile(msgspec.Struct, frozen=True, kw_only=True):
    """The content of such a file, as far as it is shown."""

    benchmarks: tuple[Benchmark, ...]
    machine_info: Mapping[str, Any] = {}
    commit_info: Mapping[str, Any] = {}
    datetime: str = ""


def read(path: Path) -> PytestBenchmarkFile | None:
    """Return the content of a file of pytest-benchmark; None if it is something else.

    Run files of this suite are something else, although they have the same format. Raises
    ``RequestError`` if the file cannot be read, is damaged or has no benchmarks.
    """
    if path.suffix == journal.SUFFIX:
        return None
    content = store.decode(path)
    if not store.is_of_pytest_benchmark(content):
        return None
    try:
        found = msgspec.convert(content, PytestBenchmarkFile)
    except msgspec.ValidationError as error:
        raise RequestError(f"{path} is damaged as a file of pytest-benchmark: {error}") from error
    if not found.benchmarks:
        raise RequestError(f"{path} is a file of pytest-benchmark without benchmarks")
    names = [benchmark.fullname for benchmark in found.benchmarks]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise RequestError(f"{path} is damaged: it has several benchmarks named {repeated[0]}")
    return found
