"""A pytest session of the suite, all cells of which have been measured already."""

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
    *("-c", os.devnull),  # this project's own options are for a session that measures
    "--noconftest",
    *("-p", "no:cacheprovider"),
    "-q",
)


def replay(run: RunRecord, path: Path) -> None:
    """Hand a run's samples to pytest-benchmark, cell by cell, and have it write its own JSON there.

    Raises ``RuntimeError`` with what pytest said where an item fails.
    """
    said = io.StringIO()
    with redirect_stdout(said), redirect_stderr(said):
        exit_code = pytest.main(
            [str(test_cells.__file__), *OPTIONS, f"--benchmark-json={path}"],
            plugins=[_Measured(run)],
        )
    if exit_code != pytest.ExitCode.OK:
        raise RuntimeError(f"pytest ended with {exit_code!r}:\n{said.getvalue()}")


class _Measured:
    """In place of the suite's conftest.py: the cells of a run, and their records."""

    def __init__(self, run: RunRecord) -> None:
        self._records = {record.cell: record for record in run.cells}

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Make every cell an item."""
        metafunc.parametrize("cell", self._records, ids=[cell.id for cell in self._records])

    @pytest.fixture(scope="session")
    def records(self) -> Mapping[Cell, CellRecord]:
        """Every cell, measured."""
        return self._records
