"""Functions for users of Python, whose parameters are the options of a request."""

import functools
import inspect
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import ParamSpec, TypeVar

from bench import signals
from bench.api.measure_request import MeasureRequest
from bench.api.option import declared
from bench.api.progress import TerminalProgress
from bench.api.report_folder import ReportFolder
from bench.cells import plan_values
from bench.cells.plan import Plan
from bench.engine.progress import Progress
from bench.errors import RequestError
from bench.records import journal
from bench.records.record import RunRecord
from bench.tables import terminal_console

Parameters = ParamSpec("Parameters")
Call = TypeVar("Call", bound="MeasureCall")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasureCall(MeasureRequest):
    """The arguments of ``measure``: a request, and who observes the run."""

    progress: Progress | None = None
    """None shows the progress on standard error."""


def with_fields_of(
    call_type: Callable[Parameters, Call], *, without: Iterable[str] = ()
) -> Callable[[Callable[[Call], Result]], Callable[Parameters, Result]]:
    """Make a function that takes a call one that takes the fields of the call.

    Options are declared once, in requests, and type checkers know the parameters of a dataclass; a
    signature written by hand would repeat all options. The docstring gets a paragraph for each
    option, except for those in ``without``, which the function refuses.
    """

    def decorate(function: Callable[[Call], Result]) -> Callable[Parameters, Result]:
        @functools.wraps(function)
        def wrapper(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
            return function(call_type(*args, **kwargs))

        returned = inspect.signature(function).return_annotation
        signature = inspect.signature(call_type).replace(return_annotation=returned)
        vars(wrapper)["__signature__"] = signature
        documentation = inspect.cleandoc(function.__doc__ or "")
        wrapper.__doc__ = f"{documentation}\n\n{_parameters(call_type, frozenset(without))}"
        return wrapper

    return decorate


def _parameters(call_type: Callable[..., MeasureCall], without: frozenset[str]) -> str:
    """Return a paragraph for each parameter, from the help text of the options."""
    helps = {
        f"{name} ({each.metavar})" if each.metavar else name: each.help
        for name, each in declared(call_type).items()  # type: ignore[arg-type]
        if name not in without | {"report_dir"}
    }
    helps["report_dir (DIR)"] = "folder of the journal (default: the run has no journal)"
    helps["progress"] = "an observer of the run (default: shown on standard error)"
    return "\n".join(
        textwrap.fill(f"{name}: {text}", width=96, subsequent_indent="    ")
        for name, text in helps.items()
    )


def written(function: str, call: MeasureCall) -> str:
    """Return the call that repeats the run, without the folder of its reports."""
    given = {
        each.name: getattr(call, each.name)
        for each in fields(call)
        if each.name not in {"report_dir", "progress"} and getattr(call, each.name) != each.default
    }
    return f"{function}({', '.join(f'{name}={value!r}' for name, value in given.items())})"


def report_folder(request: MeasureRequest, *, is_gate: bool = False) -> ReportFolder | None:
    """Return the folder of the journal, if one was named; it is checked."""
    if request.report_dir is None:
        return None
    folder = ReportFolder(chosen=Path(request.report_dir), root=Path.cwd(), is_gate=is_gate)
    folder.check()
    return folder


def journal_file(folder: ReportFolder | None, run: RunRecord) -> Path | None:
    """Return the path of a run's journal; None if it has none."""
    return folder.of(run.environment) / journal.FILE if folder else None


@contextmanager
def observed(call: MeasureCall) -> Iterator[Progress]:
    """Yield who observes the run; meanwhile, the first Ctrl-C interrupts only the run."""
    with ExitStack() as exits:
        exits.enter_context(signals.single_interrupt())
        yield call.progress or exits.enter_context(TerminalProgress(terminal_console(stderr=True)))


def runnable(plan: Plan, progress: Progress) -> Plan:
    """Return the plan without cells whose libraries are not installed, after a note.

    Raises ``RequestError`` if no cell is left.
    """
    missing = {cell: plan_values.missing(cell) for cell in plan.cells}
    reasons = list(dict.fromkeys(filter(None, missing.values())))
    if all(missing.values()):
        raise RequestError("; ".join(reasons))
    for reason in reasons:
        progress.note(f"not measured: {reason}")
    return replace(plan, cells=tuple(cell for cell in plan.cells if not missing[cell]))


def with_facts(run: RunRecord) -> RunRecord:
    """Return the run with pytest-benchmark's facts about the machine and the commit."""
    return replace(run, machine_info=_machine_info(), commit_info=_commit_info())


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
