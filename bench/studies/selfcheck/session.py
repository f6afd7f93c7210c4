"""A pytest session of the suite whose cells have already been measured."""

import io
import os
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest

from bench.cells.cell import Cell
from bench.records.record import CellRecord, RunRecord
from bench.suite import test_cells

OPTIONS = (
    *("-c", os.devnull),  # the project's own pytest options are for sessions that measure
    "--noconftest",
    *("-p", "no:cacheprovider"),
    "-q",
)


def replay(run: RunRecord, path: Path) -> None:
    """Replay a run's samples through pytest-benchmark, which writes its JSON to ``path``.

    Raises ``RuntimeError`` with pytest's output if an item fails.
    """
    output = io.StringIO()
    with redirect_stdout(output), redirect_stderr(output):
        exit_code = pytest.main(
            [str(test_cells.__file__), *OPTIONS, f"--benchmark-json={path}"],
            plugins=[_MeasuredCells(run)],
        )
    if exit_code != pytest.ExitCode.OK:
        raise RuntimeError(f"pytest ended with {exit_code!r}:\n{output.getvalue()}")


class _MeasuredCells:
    """A plugin that replaces the suite's conftest.py with the cells and records of a run."""

    def __init__(self, run: RunRecord) -> None:
        self._records = {record.cell: record for record in run.cells}

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Create a test item for each cell."""
        metafunc.parametrize("cell", self._records, ids=[cell.id for cell in self._records])

    @pytest.fixture(scope="session")
    def googlenet_bench_records(self) -> Mapping[Cell, CellRecord]:
        """Return the record of every cell."""
        return self._records
