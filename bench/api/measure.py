"""``measure``: measures networks from Python, as the suite does from pytest."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bench import pyproject
from bench.api import measuring, planning, project, values
from bench.api.call import (
    MeasureCall,
    journal_file,
    observed,
    report_folder,
    runnable,
    with_facts,
    with_fields_of,
    written,
)
from bench.api.measure_request import WHAT, MeasureRequest
from bench.api.measured_run import MeasuredRun
from bench.api.option import option, read
from bench.api.project import Completed
from bench.archs import source_file


@dataclass(frozen=True, slots=True, kw_only=True)
class _Call(MeasureCall):
    """The arguments of ``measure``."""

    project: bool = option(
        f"take from the project's settings what other parameters do not say: {pyproject.heading()} "
        f"of the nearest {pyproject.FILE}, as the command line does",
        parse=values.switch,
        default=False,
        group=WHAT,
    )


@with_fields_of(_Call)
def measure(call: _Call) -> MeasuredRun:
    """Measure networks and return the run, which shows itself when it is printed.

    The parameters are the options of ``pytest bench/suite``; messages name them as options. Several
    names are a list, or text with commas. With ``report_dir`` the folder has a journal of every
    visit, so that ``resume=True`` continues an interrupted run; ``save`` of the result writes the
    reports. Nothing is written without it. Ctrl-C returns what has been measured, as an interrupted
    run.

    Raises ``RequestError`` for an invalid request, ``WorkerError`` if no worker can be started, and
    ``KeyboardInterrupt`` if nothing was measured before Ctrl-C.
    """
    given, current = read(MeasureRequest, partial(getattr, call)), Path.cwd()
    reads_project = values.switch(call.project, "project")
    completed = (
        project.complete(given, current)
        if reads_project
        else Completed(request=given, folder=current)
    )
    request = completed.request
    plan = planning.make_plan(request, command=written("measure", call))
    folder = report_folder(request)
    with source_file.looked_up_in(completed.folder), observed(call) as progress:
        run = measuring.measure(request, runnable(plan, progress), progress, folder)
        record = with_facts(run)
    return MeasuredRun(record=record, journal_file=journal_file(folder, record))
