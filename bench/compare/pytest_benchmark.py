"""Files of pytest-benchmark from other projects: one, or two compared. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import pandas as pd

from bench.columns import Column, scaled, significant
from bench.records.pytest_benchmark import Benchmark, PytestBenchmarkFile
from bench.report.blocks import Block, Heading, Paragraph, Table
from bench.report.formats import markdown, terminal
from bench.tables import FORMATS

NO_SETS = (
    "This is a file of pytest-benchmark, not of googlenet-bench: it has no sets, that is, no "
    "samples from several fresh processes. So no interval over processes is known. The quartiles "
    "show how the rounds of one process scatter."
)
NO_ADVICE = (
    "No advice: without sets, nothing shows how much of a ratio is a difference between two "
    "processes, or between two times. Fresh processes of the same code differ by several percent, "
    "and machines drift by up to 20 %."
)
HOW_TO_READ = "B/A is the ratio of the medians. Above 1: B is slower."
_NO_GROUP = "no group"
_UNITS = (("s", 1.0), ("ms", 1e3), ("µs", 1e6), ("ns", 1e9))


def render(form: str, path: Path, content: PytestBenchmarkFile) -> str:
    """Return the benchmarks of a file in one of ``FORMATS``; CSV and JSON have rows only."""
    if form in {"csv", "json"}:
        return FORMATS[form]((), pd.DataFrame(map(_row, content.benchmarks)))
    parts = [
        Paragraph(text=f"{path}, {_about(content)}."),
        Paragraph(text=NO_SETS),
        *_groups(content.benchmarks),
    ]
    return _text(form, parts)


def compare(form: str, files: Mapping[str, tuple[Path, PytestBenchmarkFile]]) -> str:
    """Return the comparison of two files, A and B, in one of ``FORMATS``.

    Benchmarks are the same if their full names are. CSV and JSON have rows only.
    """
    a, b = ({each.fullname: each for each in file.benchmarks} for _, file in files.values())
    both = [(a[name], b[name]) for name in a if name in b]
    rows = pd.DataFrame(
        [
            *(_pair(before, after) for before, after in both),
            *(_row(each) | {"only_in": "A"} for name, each in a.items() if name not in b),
            *(_row(each) | {"only_in": "B"} for name, each in b.items() if name not in a),
        ]
    )
    if form in {"csv", "json"}:
        return FORMATS[form]((), rows)
    parts: list[Block] = [
        Paragraph(text=NO_ADVICE),
        *(
            Paragraph(text=f"{name} is {path}, {_about(file)}.")
            for name, (path, file) in files.items()
        ),
        *(Paragraph(text=sentence) for sentence in _differences(files)),
    ]
    if both:
        parts += [Table(title="", columns=_pair_columns(both), rows=rows[rows["ratio"].notna()])]
        parts += [Paragraph(text=HOW_TO_READ)]
    for name, own, other in (("A", a, b), ("B", b, a)):
        missing = [fullname for fullname in own if fullname not in other]
        if missing:
            parts.append(Paragraph(text=f"Only in {name}: {', '.join(missing)}."))
    return _text(form, parts)


def _text(form: str, parts: Sequence[Block]) -> str:
    if form == "markdown":
        return markdown.joined(markdown.blocks(parts)).rstrip("\n")
    return terminal.captured(parts)


def _about(content: PytestBenchmarkFile) -> str:
    """Return when and where a file was measured; facts that it does not have are left out."""
    machine = content.machine_info
    cpu = machine.get("cpu")
    brand = cpu.get("brand_raw") or cpu.get("brand") if isinstance(cpu, dict) else None
    commit = content.commit_info.get("id")
    is_known = commit and commit != "unversioned"  # pytest-benchmark's word outside a checkout
    facts = [
        f"from {content.datetime[:16]}" if content.datetime else "",
        f"commit {str(commit)[:12]}" if is_known else "",
        f"Python {machine['python_version']}" if machine.get("python_version") else "",
        str(brand or ""),
    ]
    return ", ".join(filter(None, facts)) or "of unknown origin"


def _row(benchmark: Benchmark) -> dict[str, Any]:
    stats = benchmark.stats
    return {
        "group": benchmark.group,
        "benchmark": benchmark.fullname,
        "median_s": stats.median,
        "q1_s": stats.q1,
        "q3_s": stats.q3,
        "iqr_s": stats.iqr,
        "rounds": stats.rounds,
        "iterations": stats.iterations,
    }


def _groups(benchmarks: Sequence[Benchmark]) -> Iterator[Block]:
    """Yield a table for each group, with the fastest benchmark first."""
    groups: dict[str | None, list[Benchmark]] = {}
    for benchmark in benchmarks:
        groups.setdefault(benchmark.group, []).append(benchmark)
    for group, members in groups.items():
        members.sort(key=lambda benchmark: benchmark.stats.median)
        unit, factor = _unit(members)
        rows = pd.DataFrame(map(_row, members))
        rows = rows.assign(median_s_low=rows["q1_s"], median_s_high=rows["q3_s"])
        yield Heading(text=group or _NO_GROUP)
        yield Table(title="", columns=_columns(unit, factor), rows=rows)


def _columns(unit: str, factor: float) -> tuple[Column, ...]:
    def write(seconds: float) -> str:
        return significant(seconds * factor)

    return (
        Column(name="benchmark", heading="benchmark", is_text=True, wraps=True),
        Column(name="median_s", heading=f"median {unit}\n(quartiles)", write=write, bounded=True),
        Column(name="iqr_s", heading=f"IQR {unit}", write=write),
        Column(name="rounds", heading="rounds", write=scaled(1, 0)),
        Column(name="iterations", heading="iterations\nper round", write=scaled(1, 0), rank=1),
    )


def _pair(a: Benchmark, b: Benchmark) -> dict[str, Any]:
    of_a, of_b = _row(a), _row(b)
    own = ("group", "benchmark")
    return {
        **{name: of_a[name] for name in own},
        **{f"{name}_a": value for name, value in of_a.items() if name not in own},
        **{f"{name}_b": value for name, value in of_b.items() if name not in own},
        "ratio": b.stats.median / a.stats.median if a.stats.median else None,
    }


def _pair_columns(both: Sequence[tuple[Benchmark, Benchmark]]) -> tuple[Column, ...]:
    unit, factor = _unit(chain.from_iterable(both))

    def write(seconds: float) -> str:
        return significant(seconds * factor)

    return (
        Column(name="benchmark", heading="benchmark", is_text=True, wraps=True),
        Column(name="ratio", heading="B/A", write=scaled(1, 3)),
        *(
            Column(
                name=f"{name}_s_{side}", heading=f"{side.upper()}: {heading} {unit}", write=write
            )
            for name, heading in (("median", "median"), ("iqr", "IQR"))
            for side in ("a", "b")
        ),
    )


def _differences(files: Mapping[str, tuple[Path, PytestBenchmarkFile]]) -> Iterator[str]:
    """Yield a sentence on the facts about the machine that differ, if any do."""
    (_, a), (_, b) = files.values()
    differing = [
        f"{name} ({a.machine_info.get(name)} in A, {b.machine_info.get(name)} in B)"
        for name in dict.fromkeys((*a.machine_info, *b.machine_info))
        if a.machine_info.get(name) != b.machine_info.get(name)
    ]
    if differing:
        yield f"The machines differ in: {'; '.join(differing)}."


def _unit(benchmarks: Iterator[Benchmark] | Sequence[Benchmark]) -> tuple[str, float]:
    """Return the largest unit in which the smallest median is at least 1, and its factor."""
    smallest = min(benchmark.stats.median for benchmark in benchmarks)
    return next(((name, by) for name, by in _UNITS if smallest * by >= 1), _UNITS[-1])
