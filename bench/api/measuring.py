"""The measurement of a plan: a run, with its journal on disk."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from bench import signals
from bench.api import clusters, code, planning
from bench.api.measure_request import MeasureRequest
from bench.api.report_folder import ReportFolder
from bench.cells.plan import Plan
from bench.engine.hosts.host import Host
from bench.engine.hosts.local import LocalHost
from bench.engine.local.resources import cards_of, launcher_of
from bench.engine.progress import Progress
from bench.engine.run import Run
from bench.engine.stopping_rule import StoppingRule
from bench.errors import RequestError
from bench.launch.fork_client import WORKER
from bench.launch.launchers import Launcher
from bench.machine.environment import Environment
from bench.records import events, journal, recovery
from bench.records.code import Code
from bench.records.journal import Journal
from bench.records.outcome import Outcome
from bench.records.record import RunRecord

# Fork servers that import at the same time, 700 MB each. A single import leaves cores idle: on two
# cores, three servers take 8 s together and 15 s one after the other.
AHEAD = 3

CODE_CHANGED = (
    "The code was changed while it was measured: its sets may have measured different code."
)


def start_launcher(plan: Plan, module: str = WORKER) -> Launcher:
    """Return the launcher of a plan's workers, to be closed; ``module`` is that of the worker."""
    return launcher_of(plan, ahead=min(AHEAD, plan.sets), module=module)


def measure(
    request: MeasureRequest,
    plan: Plan,
    progress: Progress,
    folder: ReportFolder | None,
    known: Sequence[events.Counted | events.CeilingMeasured] = (),
    announcement: str | None = None,
) -> RunRecord:
    """Measure a plan and return the run; keep a journal in the report folder, if there is one.

    Counts and peak rates that are ``known`` are not determined again. ``announcement`` is shown
    first; None for the one of a plan of many cells.

    Raises ``RequestError`` or ``WorkerError`` if nothing can be measured, and ``KeyboardInterrupt``
    if the run is interrupted before anything was measured.
    """
    if note := planning.announcement(plan) if announcement is None else announcement:
        progress.note(note)
    if clusters.is_remote(request):
        with clusters.connected(request, folder, progress) as host_of:
            return measure_on(request, plan, progress, folder, host_of, known=known)
    with start_launcher(plan) as started:
        return measure_here(request, plan, progress, folder, started, known=known)


def measure_here(
    request: MeasureRequest,
    plan: Plan,
    progress: Progress,
    folder: ReportFolder | None,
    started: Launcher,
    *,
    base: Launcher | None = None,
    rule: StoppingRule | None = None,
    known: Sequence[events.Counted | events.CeilingMeasured] = (),
) -> RunRecord:
    """Measure a plan here, against ``base`` if it is given, and return the run; keep a journal.

    When it returns, the process ignores interrupts, so that the run can be written. Raises the
    errors that ``measure`` raises.
    """

    def host_of(plan: Plan, _code: Code | None) -> Host:
        return LocalHost(
            plan, started, progress, base_launcher=base, cards=cards_of(plan, progress)
        )

    return measure_on(request, plan, progress, folder, host_of, rule=rule, known=known)


def measure_on(
    request: MeasureRequest,
    plan: Plan,
    progress: Progress,
    folder: ReportFolder | None,
    host_of: Callable[[Plan, Code | None], Host],
    *,
    rule: StoppingRule | None = None,
    known: Sequence[events.Counted | events.CeilingMeasured] = (),
) -> RunRecord:
    """Measure a plan on a host and return the run, as ``measure_here`` does.

    ``host_of`` returns the host for the plan, which may be that of a resumed run, and its code.
    """
    with ExitStack() as exits:

        def begin(about: Environment) -> Journal | None:
            if folder is None:
                return None
            journal_file = exits.enter_context(open_journal(request, about, progress, folder))
            exits.callback(_delete_if_empty, run, journal_file.path)
            return journal_file

        resumed = _interrupted_run(folder, progress) if request.resume else None
        if resumed and request.seed is None:
            plan = replace(plan, seed=resumed.plan.seed)
        # A gate checks its own trees for changes.
        code_before = None if plan.against_base else code.current(plan)
        run = Run(
            plan,
            host_of(plan, code_before),
            progress,
            rule=rule,
            begin=begin,
            resumed=resumed,
            code=code_before,
            known=known,
        )
        outcome = run.measure()
        signals.ignore_interrupts()
        if code_before and code.current(plan).digest != code_before.digest:
            outcome.apply(events.Noted(sentence=CODE_CHANGED))
            progress.note(CODE_CHANGED)
        progress.note("writing the results")
        return outcome.run_record()


def open_journal(
    request: MeasureRequest, about: Environment, progress: Progress, folder: ReportFolder
) -> Journal:
    """Open the journal in the report folder of the machine that ``about`` describes."""
    path = folder.of(about) / journal.FILE
    if not request.resume and (renamed := journal.set_aside(path)):
        progress.note(
            f"an earlier run was interrupted or not saved; its journal was renamed to {renamed}"
        )
    opened = Journal(
        path,
        on_error=lambda error: progress.note(
            f"cannot write {path}: {error.strerror}; the run continues without a journal"
        ),
    )
    if not opened.is_locked:
        progress.note(
            f"this file system has no file locks: do not let another run write to {path.parent}"
        )
    return opened


def _delete_if_empty(run: Run, path: Path) -> None:
    """Delete the journal if the run measured nothing."""
    if not run.outcome.measured_anything:
        path.unlink(missing_ok=True)


def _interrupted_run(folder: ReportFolder | None, progress: Progress) -> Outcome | None:
    """Return the interrupted run from its journal; None if the journal is empty."""
    if folder is None:
        raise RequestError("--resume needs --report-dir, the folder of the interrupted run")
    path = folder.interrupted_journal()
    if journal.is_empty(path):
        progress.note(f"{path} is empty: the interrupted run had not begun, so a new run starts")
        return None
    return recovery.resumable(path, progress.note)
