"""``measure``: measures networks from Python, as the suite does from pytest."""

import inspect
import textwrap
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import ParamSpec

from bench import signals
from bench.api import planning, recording
from bench.api.measure_request import MeasureRequest
from bench.api.measured_run import MeasuredRun
from bench.api.option import declared, read
from bench.api.progress import TerminalProgress
from bench.api.report_folder import ReportFolder
from bench.cells import plan as plans
from bench.cells.plan import Plan
from bench.engine.progress import Progress
from bench.names import RequestError
from bench.records import journal
from bench.tables import terminal_console

Parameters = ParamSpec("Parameters")


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasureCall(MeasureRequest):
    """The arguments of ``measure``: a request, and who observes the run."""

    progress: Progress | None = None
    """None shows the progress on standard error."""


def _function(call: Callable[Parameters, MeasureCall]) -> Callable[Parameters, MeasuredRun]:
    """Return the function whose parameters are the fields of the call."""

    def measure(*args: Parameters.args, **kwargs: Parameters.kwargs) -> MeasuredRun:
        return _measure(call(*args, **kwargs))

    signature = inspect.signature(MeasureCall).replace(return_annotation=MeasuredRun)
    vars(measure)["__signature__"] = signature
    measure.__module__, measure.__qualname__ = __name__, "measure"
    measure.__doc__ = f"{_DOCUMENTATION}{_parameters()}"
    return measure


_DOCUMENTATION = """Measure networks and return the run, which shows itself when it is printed.

The parameters are the options of ``pytest bench/suite``; messages name them as options. Several
names are a list, or text with commas. With ``report_dir`` the folder has a journal of every visit,
so that ``resume=True`` continues an interrupted run; ``save`` of the result writes the reports.
Nothing is written without it. Ctrl-C returns what has been measured, as an interrupted run.

Raises ``RequestError`` for an invalid request, ``WorkerError`` if no worker can be started, and
``KeyboardInterrupt`` if nothing was measured before Ctrl-C.

"""


def _parameters() -> str:
    """Return a paragraph for each parameter, from the help text of the options."""
    helps = {
        f"{name} ({each.metavar})" if each.metavar else name: each.help
        for name, each in declared(MeasureRequest).items()
        if name != "report_dir"
    }
    helps["report_dir (DIR)"] = "folder of the journal (default: the run has no journal)"
    helps["progress"] = "an observer of the run (default: shown on standard error)"
    return "\n".join(
        textwrap.fill(f"{name}: {text}", width=96, subsequent_indent="    ")
        for name, text in helps.items()
    )


def _measure(call: MeasureCall) -> MeasuredRun:
    request = read(MeasureRequest, partial(getattr, call))
    plan = planning.make_plan(request, command=_command(call))
    folder = None
    if request.report_dir is not None:
        folder = ReportFolder(chosen=Path(request.report_dir), root=Path.cwd())
        folder.check()
    with ExitStack() as exits:
        exits.enter_context(signals.single_interrupt())
        progress = call.progress or exits.enter_context(
            TerminalProgress(terminal_console(stderr=True))
        )
        run = recording.measure(request, _runnable(plan, progress), progress, folder)
        record = replace(run, machine_info=_machine_info(), commit_info=_commit_info())
    journal_file = folder.of(record.environment) / journal.FILE if folder else None
    return MeasuredRun(record=record, journal_file=journal_file)


def _runnable(plan: Plan, progress: Progress) -> Plan:
    """Return the plan without cells whose libraries are not installed, after a note.

    Raises ``RequestError`` if no cell is left.
    """
    missing = {cell: plans.missing(cell) for cell in plan.cells}
    reasons = list(dict.fromkeys(filter(None, missing.values())))
    if all(missing.values()):
        raise RequestError("; ".join(reasons))
    for reason in reasons:
        progress.note(f"not measured: {reason}")
    return replace(plan, cells=tuple(cell for cell in plan.cells if not missing[cell]))


def _command(call: MeasureCall) -> str:
    """Return the call that repeats the run, without the folder of its reports."""
    given = {
        each.name: getattr(call, each.name)
        for each in fields(MeasureRequest)
        if each.name != "report_dir" and getattr(call, each.name) != each.default
    }
    return f"measure({', '.join(f'{name}={value!r}' for name, value in given.items())})"


def _machine_info() -> Mapping[str, object]:
    """Return pytest-benchmark's facts about the machine, without the host's name."""
    from pytest_benchmark.plugin import pytest_benchmark_generate_machine_info

    facts: dict[str, object] = pytest_benchmark_generate_machine_info()
    return {name: fact for name, fact in facts.items() if name != "node"}


def _commit_info() -> Mapping[str, object]:
    """Return pytest-benchmark's facts about the commit of the current folder."""
    from pytest_benchmark.utils import get_commit_info

    facts: dict[str, object] = get_commit_info()
    return facts


measure = _function(MeasureCall)
