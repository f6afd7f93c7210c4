"""The measurement that a pytest session makes: a run, its journal, and its reports on disk."""

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

# Fork servers that import at the same time, 700 MB each: importing alone leaves cores idle, and
# three take 8 s on two cores, where one after the other takes 15.
AHEAD = 3

CODE_CHANGED = "The code was changed while it was measured: its sets may be of different code."


def measure(
    config: pytest.Config, plan: Plan, console: Console
) -> tuple[RunRecord, tuple[Path, ...]]:
    """Measure a plan and write the reports; the run, and the files.

    A run with nothing to show writes none: earlier reports may have. Raises ``RequestError`` and
    ``WorkerError`` where nothing can be measured, and ``KeyboardInterrupt`` where nothing was yet.
    """
    variables = environment.for_workers(os.environ, plan.environment)
    cpus = environment.cpus_for_workers(plan.environment)
    ahead = min(AHEAD, plan.sets)
    with launcher(variables, plan.imports, cpus, ahead=ahead) as started:
        run = record(config, plan, console, started)
    if run.is_empty:
        return run, ()
    return run, keep(config, run, lambda folder: files.write_all(run, folder))


def record(
    config: pytest.Config,
    plan: Plan,
    console: Console,
    started: Launcher,
    *,
    base: Launcher | None = None,
    rule: SetRule | None = None,
) -> RunRecord:
    """Measure a plan with a journal, against ``base`` where there is one; the run.

    From its end on the process cannot be interrupted, for the run is to be written. Raises what
    ``measure`` does.
    """
    with ExitStack() as closing:
        progress = closing.enter_context(TerminalProgress(console))

        def begin(about: dict[str, Any]) -> Journal:
            kept = closing.enter_context(_journal(config, about, progress))
            closing.callback(_unless_measured, run, kept.path)
            return kept

        resumed = _resumed(config, progress) if config.getoption("--resume") else None
        if resumed and config.getoption("--seed") is None:
            plan = replace(plan, seed=resumed.plan.seed)
        # A gate looks after its trees by itself.
        begun = None if plan.against_base else code.here(plan)
        run = Run(
            plan,
            started,
            progress,
            cards=_cards(plan, progress),
            base_launcher=base,
            rule=rule,
            begin=begin,
            resumed=resumed,
            code=begun,
        )
        outcome = run.measure()
        signals.ignore()
        if begun and code.here(plan).digest != begun.digest:
            outcome.apply(events.Noted(sentence=CODE_CHANGED))
            progress.note(CODE_CHANGED)
        progress.note("writing what was measured")
        return _recorded(config, outcome)


def _cards(plan: Plan, progress: TerminalProgress) -> cards.Cards:
    """The cards of a plan's devices, with what is to be known of them said."""
    devices = plan.devices or (plan.cells[0].device,)
    found = cards.find(devices, allow_shared=plan.allow_shared)
    for device, others in found.shared.items():
        progress.note(f"measuring beside others on {device}: {'; '.join(others)}")
    for device, why in found.unknown.items():
        progress.note(f"the state of {device} is not known: {why}")
    return found


def keep(
    config: pytest.Config, run: RunRecord, write: Callable[[Path], tuple[Path, ...]]
) -> tuple[Path, ...]:
    """Write a run's files to its report folder; only then has the journal done its work."""
    folder = report_folder.resolve(config, environment.machine_slug(run.environment))
    try:
        written = write(folder)
    except OSError as error:  # a full disk, say: what was measured is worth another place
        return _written_elsewhere(write, folder, error)
    except Exception as error:  # noqa: BLE001 - a library's, of charts, say: the run file is there
        run_file = folder / files.RUN_FILE
        pytest.exit(
            f"cannot write the reports: {type(error).__name__}: {error}; what was measured is in "
            f"{run_file}, of which `googlenet-bench report {run_file}` makes them",
            returncode=Exit.WRONG_REQUEST,
        )
    if run.status != "interrupted" or options.is_gate(config):  # a gate is not resumed
        (folder / journal.FILE).unlink(missing_ok=True)
    return written


def nothing_to_show(config: pytest.Config, run: RunRecord) -> str:
    """What to say of a run without figures: why, and where what there is of it lies."""
    why = "; ".join(dict.fromkeys(frame.failures(run)["reason"]))
    if not run.is_empty:
        return f"no cell has a figure: {why}"
    folder = report_folder.resolve(config, environment.machine_slug(run.environment))
    path = folder / journal.FILE
    left = f"; what was voided is in {path}, with which --resume goes on" if path.exists() else ""
    return f"no cell has a figure: {why}; reports of {folder} are as they were{left}"


def _recorded(config: pytest.Config, outcome: Outcome) -> RunRecord:
    """The run, with what pytest-benchmark knows of the machine and the code."""
    machine_info: dict[str, Any] = config.hook.pytest_benchmark_generate_machine_info(config=config)
    config.hook.pytest_benchmark_update_machine_info(config=config, machine_info=machine_info)
    return outcome.run_record(
        machine_info=machine_info,
        commit_info=config.hook.pytest_benchmark_generate_commit_info(config=config),
    )


def _written_elsewhere(
    write: Callable[[Path], tuple[Path, ...]], folder: Path, reason: OSError
) -> tuple[Path, ...]:
    try:
        return write(Path(tempfile.mkdtemp(prefix="googlenet-bench-")))
    except OSError:
        pytest.exit(
            f"cannot write the reports to {folder}, nor to {tempfile.gettempdir()}: "
            f"{reason.strerror}; what the journal took is in {folder / journal.FILE}: make room, "
            "and go on with --resume",
            returncode=Exit.WRONG_REQUEST,
        )


def _journal(config: pytest.Config, about: dict[str, Any], progress: TerminalProgress) -> Journal:
    """The journal in the report folder of the machine that ``about`` describes."""
    folder = report_folder.resolve(config, environment.machine_slug(about))
    path = folder / journal.FILE
    if not config.getoption("--resume") and (aside := journal.set_aside(path)):
        progress.note(f"an earlier run was cut off; its journal is {aside} now")
    kept = Journal(
        path,
        on_error=lambda error: progress.note(
            f"cannot write {path}: {error.strerror}; measuring goes on without a journal"
        ),
    )
    if not kept.keeps_others_away:
        progress.note(f"no file is locked on this disk: let no other run write to {folder}")
    return kept


def _unless_measured(run: Run, path: Path) -> None:
    """Leave no journal behind in which there is nothing to lose."""
    if not run.outcome.measured_anything:
        path.unlink(missing_ok=True)


def _resumed(config: pytest.Config, progress: TerminalProgress) -> Outcome | None:
    """The run that was cut off, as its journal tells it; None where it tells nothing."""
    path = _unfinished(config)
    if journal.is_empty(path):
        progress.note(f"{path} is empty: that run had not begun, and begins now")
        return None
    return Outcome.from_events(journal.read(path))


def _unfinished(config: pytest.Config) -> Path:
    given = config.getoption("--report-dir")
    if given:
        path = Path(given) / journal.FILE
        if path.exists():
            return path
        raise RequestError(f"nothing to resume: there is no {path}")
    found = sorted(config.rootpath.glob(f"reports/*/{journal.FILE}"))
    if len(found) == 1:
        return found[0]
    if not found:
        raise RequestError(f"nothing to resume: there is no reports/*/{journal.FILE}")
    raise RequestError(
        "more than one run was cut off; name the folder of one with --report-dir: "
        + ", ".join(str(path.parent) for path in found)
    )
