"""The suite's hooks: the engine measures all cells together, then each item reports its own."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from _pytest.mark import ParameterSet
from rich.console import Console

from bench import signals
from bench.api import measuring
from bench.api.gate import exit_code, measure_gate
from bench.api.measured_run import renderables, warnings
from bench.api.progress import TerminalProgress
from bench.archs import source_file
from bench.cells.cell import Cell
from bench.cells.plan import Plan
from bench.cells.plan_values import missing
from bench.errors import RequestError
from bench.exits import Exit
from bench.gate.decision import Gate
from bench.launch.process import WorkerError
from bench.records.record import CellRecord, RunRecord
from bench.report import files
from bench.suite import gating, other_plugins, reports
from bench.suite.session import REQUEST
from bench.tables import terminal_console
from bench.units import counted

FOLDER = Path(__file__).resolve().parent

RUN = pytest.StashKey[RunRecord]()
GATE = pytest.StashKey[Gate]()
WRITTEN = pytest.StashKey[reports.Written]()


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """Refuse other plugins that disturb the measurements, before any of them takes over."""
    other_plugins.check(config)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Collect the items that measure, or with a gate's options those that judge.

    Beside a project's tests, this is also called for its files, and ``beside`` adds the items.
    """
    if collection_path.resolve().parent != FOLDER:
        return None
    if REQUEST not in config.stash:
        pytest.exit(
            "the suite's options are not loaded: add -p bench.suite.plugin to pytest's options, or "
            "use googlenet-bench run",
            returncode=Exit.WRONG_REQUEST,
        )
    session = config.stash[REQUEST]
    if session.is_beside_tests:
        return True
    other = "test_cells.py" if session.gate else "test_verdicts.py"
    return True if collection_path.name == other else None


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Create one item for each cell of the plan."""
    if "cell" in metafunc.fixturenames and metafunc.definition.path.resolve().parent == FOLDER:
        cells = metafunc.config.stash[REQUEST].plan.cells
        # The first item measures all cells.
        has_timeouts = metafunc.config.pluginmanager.hasplugin("timeout")
        marks = (pytest.mark.timeout(0),) if has_timeouts else ()
        metafunc.parametrize(
            "cell", [_item(cell, *marks) for cell in cells], ids=[cell.id for cell in cells]
        )


def pytest_collection_finish(session: pytest.Session) -> None:
    """Exit with an error if no cell is selected, for example because ``-k`` matches no id."""
    asked = session.config.stash.get(REQUEST, None)
    if asked is None or asked.is_beside_tests:
        return
    if not session.items and not session.testsfailed:
        cells = asked.plan.cells
        pytest.exit(
            f"nothing to measure: none of the {counted(len(cells), 'cell')} is selected; "
            f"cell ids look like {cells[0].id}",
            returncode=Exit.WRONG_REQUEST,
        )


def pytest_benchmark_update_machine_info(
    config: pytest.Config, machine_info: dict[str, object]
) -> None:
    """Leave out the host's name, except in the file of a project's own benchmarks."""
    if not config.stash[REQUEST].is_beside_tests:
        machine_info.pop("node", None)


@pytest.fixture(scope="session")
def googlenet_bench_records(request: pytest.FixtureRequest) -> Mapping[Cell, CellRecord]:
    """Measure every selected cell and write the run file and the reports.

    A conftest.py of a project may have a fixture with a shorter name, which would replace this one.
    """
    config = request.config
    session = config.stash[REQUEST]
    with _measuring(config) as console, source_file.looked_up_in(session.files):
        with TerminalProgress(console) as progress:
            run = measuring.measure(session.measure, _plan(request), progress, session.folder)
        run = _with_facts(config, run)
        if not run.is_empty:  # an empty run would replace earlier reports that have figures
            config.stash[WRITTEN] = reports.write(
                session.folder, run, lambda folder: files.write_all(run, folder)
            )
    config.stash[RUN] = run
    if session.is_beside_tests and run.status == "interrupted":
        raise KeyboardInterrupt  # pytest ends the session, with its own exit code
    return {record.cell: record for record in run.cells}


@pytest.fixture(scope="session")
def gate(request: pytest.FixtureRequest) -> Gate:
    """Measure every selected cell on both sides and judge it."""
    config = request.config
    session = config.stash[REQUEST]
    if session.gate is None:
        raise RuntimeError("this session measures without a base")
    with _measuring(config) as console:
        with TerminalProgress(console) as progress:
            judged = measure_gate(
                session.measure, session.gate, _plan(request), progress, session.folder
            )
        result = replace(judged, run=_with_facts(config, judged.run))
        config.stash[WRITTEN] = gating.write(session, result)
    config.stash[RUN], config.stash[GATE] = result.run, result
    return result


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the tables and the paths of the files."""
    config = terminalreporter.config
    if RUN not in config.stash:
        return
    run = config.stash[RUN]
    terminalreporter.section("googlenet-bench")
    console = terminal_console(terminalreporter._tw._file)
    gate = config.stash.get(GATE, None)
    for part in renderables(run, gate, console):
        console.print(part)
    for sentence in warnings(run, gate):
        console.print(sentence, markup=False, highlight=False, soft_wrap=True)
    if _is_undecided(config):
        message = f"Inconclusive: {reports.why_no_figures(config.stash[REQUEST].folder, run)}."
        console.print(message, markup=False, highlight=False, soft_wrap=True)
    if (written := config.stash.get(WRITTEN, None)) is None:
        return
    for path in written.paths:
        console.print(f"wrote {path}", markup=False, highlight=False, soft_wrap=True)
    if written.error:
        message = f"Error: {written.error}."
        console.print(message, markup=False, highlight=False, soft_wrap=True)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Set the exit code for an interrupted run, a gate's verdicts or a run without figures.

    It is 2 if the files are not in the folder that was asked for.

    Beside a project's tests the exit code is pytest's.
    """
    asked = session.config.stash.get(REQUEST, None)
    if asked is None or asked.is_beside_tests:
        return
    run = session.config.stash.get(RUN, None)
    gate = session.config.stash.get(GATE, None)
    written = session.config.stash.get(WRITTEN, None)
    request = asked.gate
    if written is not None and written.error:
        session.exitstatus = Exit.WRONG_REQUEST
    elif run is not None and run.status == "interrupted":
        # Without a reason in the notes, it was the user who interrupted it.
        session.exitstatus = Exit.FAILED if run.why_ended else Exit.WRONG_REQUEST
    elif gate and request and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = exit_code(gate, allow_inconclusive=request.allow_inconclusive)
    elif session.exitstatus == pytest.ExitCode.OK and _is_undecided(session.config):
        session.exitstatus = Exit.UNDECIDED


def _is_undecided(config: pytest.Config) -> bool:
    """Whether this is no gate, and no cell has a figure although none failed."""
    run = config.stash.get(RUN, None)
    if run is None or GATE in config.stash:
        return False
    return not (run.measured or any(record.failure for record in run.cells))


def _plan(request: pytest.FixtureRequest) -> Plan:
    """Return the plan with only the cells that pytest has not deselected."""
    selected = set(_cells(request.session.items))
    plan = request.config.stash[REQUEST].plan
    return replace(plan, cells=tuple(cell for cell in plan.cells if cell in selected))


def _with_facts(config: pytest.Config, run: RunRecord) -> RunRecord:
    """Return the run with pytest-benchmark's facts about the machine and the commit."""
    machine_info: dict[str, object] = config.hook.pytest_benchmark_generate_machine_info(
        config=config
    )
    config.hook.pytest_benchmark_update_machine_info(config=config, machine_info=machine_info)
    machine_info.pop("node", None)  # run files are published, and the name explains no figure
    commit_info = config.hook.pytest_benchmark_generate_commit_info(config=config)
    return replace(run, machine_info=machine_info, commit_info=commit_info)


def _cells(items: Iterable[pytest.Item]) -> Iterator[Cell]:
    """Yield the cells of these items that can be measured here."""
    for item in items:
        callspec = getattr(item, "callspec", None)
        cell = callspec.params.get("cell") if callspec else None
        if isinstance(cell, Cell) and not missing(cell):
            yield cell


def _item(cell: Cell, *marks: pytest.MarkDecorator) -> ParameterSet:
    """A cell as the parameter of its item, which is skipped if a library is not installed."""
    if lacking := missing(cell):
        marks = (*marks, pytest.mark.skip(reason=lacking))
    return pytest.param(cell, marks=marks)


@contextmanager
def _measuring(config: pytest.Config) -> Iterator[Console]:
    """Yield a console on the real terminal, which pytest captures while items run.

    An error after which there is nothing to show ends the session with exit code 2 and a message.
    Beside a project's tests it fails the cells, and the session goes on.
    """
    is_beside_tests = config.stash[REQUEST].is_beside_tests
    signal_handlers = ExitStack()
    signal_handlers.enter_context(signals.single_interrupt())
    if not is_beside_tests:  # so that Ctrl-C does not interrupt the terminal summary either
        config.add_cleanup(signal_handlers.pop_all().close)
    capture = config.pluginmanager.getplugin("capturemanager")
    with signal_handlers, capture.global_and_fixture_disabled():
        console = terminal_console(stderr=True)
        console.print()
        try:
            yield console
        except RequestError as error:
            message = str(error)
        except WorkerError as error:
            message = "\n".join(filter(None, [str(error), error.stderr]))
        except KeyboardInterrupt:
            if is_beside_tests:
                raise
            message = "interrupted before any result was available"
        except pytest.exit.Exception as error:
            if not is_beside_tests:
                raise
            message = error.msg
        else:
            return
    if is_beside_tests:
        pytest.fail(message, pytrace=False)
    pytest.exit(message, returncode=Exit.WRONG_REQUEST)
