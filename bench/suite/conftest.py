"""The suite's hooks: the engine measures all selected cells at once; items hand them over."""

import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from rich.console import Console

from bench import environment
from bench.cell import Cell
from bench.launch import WorkerError, launcher
from bench.plan import Plan
from bench.record import CellRecord, RunRecord
from bench.report import files, summary
from bench.report.tables import fitted, terminal_console
from bench.rounds import Outcome, Run
from bench.suite import options, profiles
from bench.suite.progress import TerminalProgress

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
        outcome = _measure(plan, console)
    run = _run_record(config, outcome)
    folder = options.report_folder(config, environment.machine_slug(run.environment))
    config.stash[RUN] = run
    config.stash[WRITTEN] = _write(run, folder)
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


def _measure(plan: Plan, console: Console) -> Outcome:
    variables = environment.for_workers(os.environ)
    with launcher(variables, plan.imports) as started, TerminalProgress(console) as progress:
        try:
            return Run(plan, started, progress).measure()
        except WorkerError as error:
            message = "\n".join(filter(None, [str(error), error.stderr]))
    pytest.exit(message, returncode=2)


def _run_record(config: pytest.Config, outcome: Outcome) -> RunRecord:
    plan = outcome.plan
    machine_info = config.hook.pytest_benchmark_generate_machine_info(config=config)
    config.hook.pytest_benchmark_update_machine_info(config=config, machine_info=machine_info)
    return RunRecord(
        cells=outcome.records(),
        environment=outcome.environment,
        plan={
            "command": options.command(config),
            "profile": config.getoption("--profile"),
            "reference_arch": profiles.REFERENCE_ARCH,
            "sets": plan.sets,
            "rounds": plan.rounds,
            "budget_s": plan.budget_s,
            "seed": plan.seed,
            "image_size": plan.image_size,
        },
        status=outcome.status,
        phases_s=outcome.phases_s,
        machine_info=machine_info,
        commit_info=config.hook.pytest_benchmark_generate_commit_info(config=config),
        datetime=datetime.now(UTC).isoformat(),
    )


def _write(run: RunRecord, folder: Path) -> tuple[Path, ...]:
    try:
        return files.write_all(run, folder)
    except OSError:  # a full disk, say: what was measured is worth another place
        return files.write_all(run, Path(tempfile.mkdtemp(prefix="googlenet-bench-")))
