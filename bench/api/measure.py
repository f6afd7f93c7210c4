"""``measure``: measures networks from Python, as the suite does from pytest."""

from functools import partial

from bench.api import planning, recording
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
from bench.api.measure_request import MeasureRequest
from bench.api.measured_run import MeasuredRun
from bench.api.option import read


@with_fields_of(MeasureCall)
def measure(call: MeasureCall) -> MeasuredRun:
    """Measure networks and return the run, which shows itself when it is printed.

    The parameters are the options of ``pytest bench/suite``; messages name them as options. Several
    names are a list, or text with commas. With ``report_dir`` the folder has a journal of every
    visit, so that ``resume=True`` continues an interrupted run; ``save`` of the result writes the
    reports. Nothing is written without it. Ctrl-C returns what has been measured, as an interrupted
    run.

    Raises ``RequestError`` for an invalid request, ``WorkerError`` if no worker can be started, and
    ``KeyboardInterrupt`` if nothing was measured before Ctrl-C.
    """
    request = read(MeasureRequest, partial(getattr, call))
    plan = planning.make_plan(request, command=written("measure", call))
    folder = report_folder(request)
    with observed(call) as progress:
        run = recording.measure(request, runnable(plan, progress), progress, folder)
        record = with_facts(run)
    return MeasuredRun(record=record, journal_file=journal_file(folder, record))
