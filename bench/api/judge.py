"""``judge``: judges a gate from Python, as the suite does from pytest with ``--base``."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from bench.api import gate as gates
from bench.api import gate_request
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
from bench.api.gate_options import GateOptions
from bench.api.measure_request import MeasureRequest
from bench.api.measured_run import MeasuredRun
from bench.api.option import read
from bench.errors import RequestError
from bench.gate.decision import Gate


@dataclass(frozen=True, kw_only=True)
class JudgeCall(MeasureCall, GateOptions):
    """The arguments of ``judge``: what is measured, and what head is compared with."""


@dataclass(frozen=True, kw_only=True, repr=False)
class JudgedRun(MeasuredRun):
    """The result of ``judge``; printing it shows the table of its verdicts."""

    allow_inconclusive: bool = False
    """Whether an inconclusive gate has exit code 0."""

    @property
    def exit_code(self) -> int:
        """The exit code of the command ``gate``: 0 if no cell is slower.

        1 if a cell regressed or failed only on head, 3 if a cell is undecided (0 with
        ``allow_inconclusive``), and 2 if head was changed while it was measured, or if Ctrl-C ended
        the gate.
        """
        return gates.exit_code(self._judged, allow_inconclusive=self.allow_inconclusive)

    @property
    def verdicts(self) -> Mapping[str, str]:
        """The verdict of each cell, by its id.

        ``regressed``, ``improved``, ``unchanged``, ``inconclusive``, or ``failed`` (only on head).
        """
        return {cell: str(verdict) for cell, verdict in self._judged.verdicts.items()}

    @property
    def _judged(self) -> Gate:
        return self.gate or Gate.from_run(self.record)


@with_fields_of(JudgeCall, without=gate_request.MEASURE_ONLY)
def judge(call: JudgeCall) -> JudgedRun:
    """Measure head against a base and return the verdicts, which show themselves when printed.

    Head is the code of the current folder's git checkout, including uncommitted changes. The base
    is a git revision (``base``), an interpreter (``base_python``), or both. The settings of the
    checkout supply what the options do not. ``save`` of the result writes the report. Ctrl-C
    returns what has been measured, as an interrupted gate.

    Raises ``RequestError`` for an invalid request, ``WorkerError`` if no worker can be started, and
    ``KeyboardInterrupt`` if nothing was measured before Ctrl-C.
    """
    request = read(MeasureRequest, partial(getattr, call))
    options = read(GateOptions, partial(getattr, call))
    if not options.asks_for_gate:
        raise RequestError("name what to compare with: --base REV or --base-python PATH")
    wanted = gate_request.make_request(request, options, Path.cwd(), command=written("judge", call))
    folder = report_folder(request, is_gate=True)
    with observed(call) as progress:
        plan = runnable(wanted.plan, progress)
        judged = gates.measure_gate(request, wanted, plan, progress, folder)
        record = replace(judged, run=with_facts(judged.run)).run_with_settings
    return JudgedRun(
        record=record,
        journal_file=journal_file(folder, record),
        allow_inconclusive=options.allow_inconclusive,
    )
