"""The measurement of a pytest session: a run, its journal and its reports on disk."""

import os
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from bench import signals
from bench.cells.plan import Plan
from bench.engine.launch import Launcher, launcher
from bench.engine.rule import SetRule
from bench.engine.run import Run
from bench.exits import Exit
from bench.machine import cards, environment
from bench.names import RequestError
from bench.records import events, journal
from bench.records.journal import Journal
from bench.records.outcome import Outcome
from bench.records.record import RunRecord
from bench.report import files, frame
from bench.suite import code, options, report_folder
from bench.suite.progress import TerminalProgress

# Fork servers that import at the same time, 700 MB each. A single import leaves cores idle: on two
# cores, three servers take 8 s together and 15 s one after the other.
AHEAD = 3

CODE_CHANGED = (
    "The code was changed while it was measured: its sets may have measured different code."
)


def measure(
    config: pytest.Config, plan: Plan, console: Console
) -> tuple[RunRecord, tuple[Path, ...]]:
    """Measure a plan and write the reports; return the run and the files' paths.

    An empty run writes no files, because it would replace earlier reports that have figures. Raises
    ``RequestError`` or ``WorkerError`` if nothing can be measured, and ``KeyboardInterrupt`` if the
    run is interrupted before anything was measured.
    """
    variables = environment.for_workers(os.environ, plan.environment)
    cpus = environment.cpus_for_workers(plan.environment)
    ahead = min(AHEAD, plan.sets)
    with launcher(variables, plan.imports, cpus, ahead=ahead) as started:
        run = record(config, plan, console, started)
    if run.is_empty:
        return run, ()
    return run, write_reports(config, run, lambda folder: files.write_all(run, folder))


def record(
    config: pytest.Config,
    plan: Plan,
    console: Console,
    started: Launcher,
    *,
    base: Launcher | None = None,
    rule: SetRule | None = None,
) -> RunRecord:
    """Measure a plan, against ``base`` if it is given, and return the run; keep a journal.

    When it returns, the process ignores interrupts, so that the run can be written. Raises the
    errors that ``measure`` raises.
    """
    with ExitStack() as exits:
        progress = exits.enter_context(TerminalProgress(console))

        def begin(facts: dict[str, Any]) -> Journal:
            journal_file = exits.enter_context(_journal(config, facts, progress))
            exits.callback(_delete_if_empty, run, journal_file.path)
            return journal_file

        resumed = _interrupted_run(config, progress) if config.getoption("--resume") else None
        if resumed and config.getoption("--seed") is None:
            plan = replace(plan, seed=resumed.plan.seed)
        # A gate checks its own trees for changes.
        code_before = None if plan.against_base else code.current(plan)
        run = Run(
            plan,
            started,
            progress,
            cards=_cards(plan, progress),
            base_launcher=base,
            rule=rule,
            begin=begin,
            resumed=resumed,
            code=code_before,
        )
        outcome = run.measure()
        signals.ignore_interrupts()
        if code_before and code.current(plan).digest != code_before.digest:
            outcome.apply(events.Noted(sentence=CODE_CHANGED))
            progress.note(CODE_CHANGED)
        progress.note("writing the results")
        return _run_record(config, outcome)


def _cards(plan: Plan, progress: TerminalProgress) -> cards.Cards:
    """Return the cards of a plan's devices; note those that are shared or unknown."""
    devices = plan.devices or (plan.cells[0].device,)
    result = cards.find(devices, allow_shared=plan.allow_shared)
    for device, processes in result.shared.items():
        progress.note(f"{device} is also used by other processes: {'; '.join(processes)}")
    for device, why in result.unknown.items():
        progress.note(f"the state of {device} is unknown: {why}")
    return result


def write_reports(
    config: pytest.Config, run: RunRecord, write: Callable[[Path], tuple[Path, ...]]
) -> tuple[Path, ...]:
    """Write a run's files to its report folder and return their paths.

    Then remove the journal, unless it can be resumed.
    """
    folder = report_folder.resolve(config, environment.machine_slug(run.environment))
    try:
        written = write(folder)
    except OSError as error:  # a full disk, for example: save the measurements elsewhere
        return _write_elsewhere(write, folder, error)
    except Exception as error:  # noqa: BLE001 - for example in a chart library; the run file exists
        run_file = folder / files.RUN_FILE
        pytest.exit(
            f"cannot write the reports: {type(error).__name__}: {error}; the measurements are in "
            f"{run_file}: run `googlenet-bench report {run_file}` to write the reports from it",
            returncode=Exit.WRONG_REQUEST,
        )
    if run.status != "interrupted" or options.is_gate(config):  # a gate cannot be resumed
        (folder / journal.FILE).unlink(missing_ok=True)
    return written


def why_no_figures(config: pytest.Config, run: RunRecord) -> str:
    """Say why a run has no figures, and where its journal is."""
    why = "; ".join(dict.fromkeys(frame.failures(run)["reason"]))
    if not run.is_empty:
        return f"no cell has a figure: {why}"
    folder = report_folder.resolve(config, environment.machine_slug(run.environment))
    path = folder / journal.FILE
    hint = (
        f"; {path} has the voided rounds, and --resume continues the run" if path.exists() else ""
    )
    return f"no cell has a figure: {why}; the reports in {folder} are unchanged{hint}"


def _run_record(config: pytest.Config, outcome: Outcome) -> RunRecord:
    """Return the run, with pytest-benchmark's facts about the machine and the commit."""
    machine_info: dict[str, Any] = config.hook.pytest_benchmark_generate_machine_info(config=config)
    config.hook.pytest_benchmark_update_machine_info(config=config, machine_info=machine_info)
    return outcome.run_record(
        machine_info=machine_info,
        commit_info=config.hook.pytest_benchmark_generate_commit_info(config=config),
    )


def _write_elsewhere(
    write: Callable[[Path], tuple[Path, ...]], folder: Path, reason: OSError
) -> tuple[Path, ...]:
    try:
        return write(Path(tempfile.mkdtemp(prefix="googlenet-bench-")))
    except OSError:
        pytest.exit(
            f"cannot write the reports to {folder}, nor to {tempfile.gettempdir()}: "
            f"{reason.strerror}; the measurements are in {folder / journal.FILE}: make room on the "
            "disk, then continue with --resume",
            returncode=Exit.WRONG_REQUEST,
        )


def _journal(config: pytest.Config, facts: dict[str, Any], progress: TerminalProgress) -> Journal:
    """Open the journal in the report folder of the machine that ``facts`` describes."""
    folder = report_folder.resolve(config, environment.machine_slug(facts))
    path = folder / journal.FILE
    if not config.getoption("--resume") and (renamed := journal.set_aside(path)):
        progress.note(f"an earlier run was interrupted; its journal was renamed to {renamed}")
    opened = Journal(
        path,
        on_error=lambda error: progress.note(
            f"cannot write {path}: {error.strerror}; the run continues without a journal"
        ),
    )
    if not opened.is_locked:
        progress.note(
            f"this file system has no file locks: do not let another run write to {folder}"
        )
    return opened


def _delete_if_empty(run: Run, path: Path) -> None:
    """Delete the journal if the run measured nothing."""
    if not run.outcome.measured_anything:
        path.unlink(missing_ok=True)


def _interrupted_run(config: pytest.Config, progress: TerminalProgress) -> Outcome | None:
    """Return the interrupted run from its journal; None if the journal is empty."""
    path = _interrupted_journal(config)
    if journal.is_empty(path):
        progress.note(f"{path} is empty: the interrupted run had not begun, so a new run starts")
        return None
    return Outcome.from_events(journal.read(path))


def _interrupted_journal(config: pytest.Config) -> Path:
    folder = config.getoption("--report-dir")
    if folder:
        path = Path(folder) / journal.FILE
        if path.exists():
            return path
        raise RequestError(f"nothing to resume: {path} does not exist")
    paths = sorted(config.rootpath.glob(f"reports/*/{journal.FILE}"))
    if len(paths) == 1:
        return paths[0]
    if not paths:
        raise RequestError(f"nothing to resume: no file matches reports/*/{journal.FILE}")
    raise RequestError(
        "more than one run was interrupted; choose one by its folder with --report-dir: "
        + ", ".join(str(path.parent) for path in paths)
    )
