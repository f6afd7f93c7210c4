"""The suite's hooks: the engine measures all selected cells at once; items hand them over."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from bench.cell import Cell
from bench.record import CellRecord, RunRecord
from bench.report import summary
from bench.report.tables import fitted, terminal_console
from bench.suite import measurement, options

RUN = pytest.StashKey[RunRecord]()
WRITTEN = pytest.StashKey[tuple[Path, ...]]()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make every cell of the plan an item."""
    if "cell" in metafunc.fixturenames:
        plan = metafunc.config.stash[options.PLAN]
        metafunc.parametrize("cell", plan.cells, ids=[cell.id for cell in plan.cells])


def pytest_benchmark_update_machine_info(machine_info: dict[str, object]) -> None:
    """Leave out the host's name: run files are published, and it explains no number."""
    machine_info.pop("node", None)


@pytest.fixture(scope="session")
def records(request: pytest.FixtureRequest) -> Mapping[Cell, CellRecord]:
    """Every selected cell, measured; the run file and the reports are on disk by then."""
    config = request.config
    selected = set(_cells(request.session.items))
    whole = config.stash[options.PLAN]
    plan = replace(whole, cells=tuple(cell for cell in whole.cells if cell in selected))
    with _uncaptured(config) as console:
        run, config.stash[WRITTEN] = measurement.measure(config, plan, console)
    config.stash[RUN] = run
    return {record.cell: record for record in run.cells}


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show the tables, and where the files are."""
    config = terminalreporter.config
    if RUN not in config.stash:
        return
    run = config.stash[RUN]
    terminalreporter.section("googlenet-bench")
    console = terminal_console(terminalreporter._tw._file)
    for title, rows in summary.groups(run):
        console.print(fitted(console, summary.shown_columns(run, rows), rows, title))
    if run.status != "complete":
        console.print(f"Partial: the run is {run.status.replace('_', ' ')}.")
    for path in config.stash.get(WRITTEN, ()):
        console.print(f"wrote {path}", markup=False, highlight=False, soft_wrap=True)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Leave as pytest does when it is interrupted, where the measurement was."""
    run = session.config.stash.get(RUN, None)
    if run is not None and run.status == "interrupted":
        session.exitstatus = pytest.ExitCode.INTERRUPTED


def _cells(items: Iterable[pytest.Item]) -> Iterator[Cell]:
    """The cells that are left of the plan once pytest has deselected items."""
    for item in items:
        callspec = getattr(item, "callspec", None)
        if callspec is not None and isinstance(cell := callspec.params.get("cell"), Cell):
            yield cell


@contextmanager
def _uncaptured(config: pytest.Config) -> Iterator[Console]:
    """A console on the real terminal, which pytest captures while items run."""
    capture = config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        console = terminal_console(stderr=True)
        console.print()
        yield console
