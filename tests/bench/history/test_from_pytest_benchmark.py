"""What a history stores of a file of pytest-benchmark from another project."""

from pathlib import Path

import pytest

from bench.history import from_pytest_benchmark
from bench.history.entry import PYTEST_BENCHMARK, Entry, Figure
from bench.records import pytest_benchmark
from tests.bench.history import made


def read(path: Path) -> Entry:
    found = pytest_benchmark.read(path)
    assert found is not None
    return from_pytest_benchmark.entry(found)


def test_a_benchmark_has_its_statistics(tmp_path: Path) -> None:
    entry = read(made.write_pytest_benchmark(tmp_path / "other.json"))
    (cell,) = entry.cells
    assert (entry.kind, entry.when, entry.status) == (PYTEST_BENCHMARK, made.FIRST, "complete")
    assert (entry.commit, entry.branch, entry.dirty) == (None, None, False)
    assert (entry.torch, entry.python, entry.threads) == ("", "3.12.1", None)
    assert cell.cell == "test_other.py::test_sum"
    assert cell.figures == (
        Figure(metric="median_s", value=0.5),
        Figure(metric="q1_s", value=0.4),
        Figure(metric="q3_s", value=0.7),
        Figure(metric="rounds", value=7.0),
    )
    assert {about.name for about in entry.metrics} == {each.metric for each in cell.figures}


def test_the_id_is_that_of_the_content(tmp_path: Path) -> None:
    first = read(made.write_pytest_benchmark(tmp_path / "a.json"))
    same = read(made.write_pytest_benchmark(tmp_path / "b.json"))
    other = read(made.write_pytest_benchmark(tmp_path / "c.json", median_s=0.6))
    assert first.run_id == same.run_id != other.run_id


@pytest.mark.parametrize("day", [1, 2])
def test_the_frequency_does_not_change_the_machine(tmp_path: Path, day: int) -> None:
    first = read(made.write_pytest_benchmark(tmp_path / "a.json"))
    later = read(made.write_pytest_benchmark(tmp_path / "b.json", day=day))
    assert later.machine == first.machine
    assert later.machine.name == "AMD EPYC"
