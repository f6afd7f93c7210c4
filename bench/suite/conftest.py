"""The suite's hooks: the engine measures all selected cells at once; items hand them over."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

from bench import signals
from bench.cells.cell import Cell
from bench.cells.plan import Plan
from bench.engine.process import WorkerError
from bench.exits import Exit
from bench.gate import report
from bench.gate.decision import Gate
from bench.names import RequestError
from bench.records.record import CellRecord, RunRecord
from bench.report import frame, summary, trust
from bench.suite import gating, measurement, options, planning
from bench.tables import Column, filled, fitted, terminal_console

RUN = pytest.StashKey[RunRecord]()
GATE = pytest.StashKey[Gate]()
WRITTEN = pytest.StashKey[tuple[Path, ...]]()


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Collect the items of what was asked for: to measure, or to judge."""
    other = "test_cells.py" if options.is_gate(config) else "test_verdicts.py"
    return True if collection_path.name == other else None


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make every cell of the plan an item."""
    if "cell" in metafunc.fixturenames:
        plan = metafunc.config.stash[planning.PLAN]
        metafunc.parametrize("cell", plan.cells, ids=[cell.id for cell in plan.cells])


def pytest_collection_finish(session: pytest.Session) -> None:
    """Refuse to measure nothing: a -k that no cell's id matches, say."""
    if not session.items and not session.testsfailed:
        cells = session.config.stash[planning.PLAN].cells
        pytest.exit(
            f"nothing to measure: none of the {len(cells)} cells is selected; their ids are such "
            f"as {cells[0].id}",
            returncode=Exit.WRONG_REQUEST,
        )


def pytest_benchmark_update_machine_info(machine_info: dict[str, object]) -> None:
    """Leave out the host's name: run files are published, and it explains no number."""
    machine_info.pop("node", None)


@pytest.fixture(scope="session")
def records(request: pytest.FixtureRequest) -> Mapping[Cell, CellRecord]:
    """Every selected cell, measured; the run file and the reports are on disk by then."""
    config = request.config
    with _measuring(config) as console:
        run, config.stash[WRITTEN] = measurement.measure(config, _plan(request), console)
    config.stash[RUN] = run
    return {record.cell: record for record in run.cells}


@pytest.fixture(scope="session")
def gate(request: pytest.FixtureRequest) -> Gate:
    """Every selected cell, measured on both sides and judged."""
    config = request.config
    with _measuring(config) as console:
        held, config.stash[WRITTEN] = gating.hold(config, _plan(request), console)
    config.stash[RUN], config.stash[GATE] = held.run, held
    return held


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show the tables, and where the files are."""
    config = terminalreporter.config
    if RUN not in config.stash:
        return
    run = config.stash[RUN]
    terminalreporter.section("googlenet-bench")
    console = terminal_console(terminalreporter._tw._file)
    for title, columns, rows in _tables(config):
        console.print(fitted(console, columns, rows, title))
    said = report.conditions(config.stash[GATE]) if GATE in config.stash else trust.warnings(run)
    for sentence in said:
        console.print(f"Warning: {sentence}", markup=False, highlight=False, soft_wrap=True)
    if run.status != "complete":
        console.print(f"Partial: the run is {run.status.replace('_', ' ')}.")
    if _is_undecided(config):
        nothing = f"Inconclusive: {measurement.nothing_to_show(config, run)}."
        console.print(nothing, markup=False, highlight=False, soft_wrap=True)
    for path in config.stash.get(WRITTEN, ()):
        console.print(f"wrote {path}", markup=False, highlight=False, soft_wrap=True)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Leave as pytest does when it is interrupted, where the measurement was; or undecided."""
    run = session.config.stash.get(RUN, None)
    gate = session.config.stash.get(GATE, None)
    if run is not None and run.status == "interrupted":
        session.exitstatus = pytest.ExitCode.INTERRUPTED
    elif gate is not None and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = gate.exit_code
    elif session.exitstatus == pytest.ExitCode.OK and _is_undecided(session.config):
        session.exitstatus = Exit.UNDECIDED


def _is_undecided(config: pytest.Config) -> bool:
    """Whether cells were measured only, and none has a figure though none failed."""
    run = config.stash.get(RUN, None)
    if run is None or GATE in config.stash:
        return False
    return not (run.measured or any(record.failure for record in run.cells))


def _plan(request: pytest.FixtureRequest) -> Plan:
    """The plan, of the cells that are left once pytest has deselected items."""
    selected = set(_cells(request.session.items))
    whole = request.config.stash[planning.PLAN]
    return replace(whole, cells=tuple(cell for cell in whole.cells if cell in selected))


def _tables(config: pytest.Config) -> Iterator[tuple[str, tuple[Column, ...], pd.DataFrame]]:
    """What is shown at the end: a title, columns, and rows."""
    run = config.stash[RUN]
    if GATE in config.stash:
        gate = config.stash[GATE]
        rows = report.frame(gate)
        title = f"{gate.sides.head} against {gate.sides.base}: {report.headline(gate)}"
        yield title, filled(report.COLUMNS, rows), rows
        return
    for title, rows in summary.groups(frame.summary(run)):
        yield title, summary.shown_columns(run, rows), rows


def _cells(items: Iterable[pytest.Item]) -> Iterator[Cell]:
    """The cells that are left of the plan once pytest has deselected items."""
    for item in items:
        callspec = getattr(item, "callspec", None)
        if callspec is not None and isinstance(cell := callspec.params.get("cell"), Cell):
            yield cell


@contextmanager
def _measuring(config: pytest.Config) -> Iterator[Console]:
    """A console on the real terminal, which pytest captures while items run.

    Whatever leaves nothing to show ends the session with exit code 2 and a sentence.
    """
    hearing = ExitStack()  # to the session's end: what is shown is not interrupted either
    config.add_cleanup(hearing.close)
    hearing.enter_context(signals.interrupted_once())
    capture = config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        console = terminal_console(stderr=True)
        console.print()
        try:
            yield console
        except RequestError as error:
            message = str(error)
        except WorkerError as error:
            message = "\n".join(filter(None, [str(error), error.stderr]))
        except KeyboardInterrupt:
            message = "interrupted, before there was anything to show"
        else:
            return
    pytest.exit(message, returncode=Exit.WRONG_REQUEST)
