"""A gate in a pytest session: measure both sides, judge them and write the reports."""

import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from bench.api import measurement
from bench.api.gate_request import GateRequest
from bench.cells.plan import Plan
from bench.engine.context import Progress
from bench.gate import files, report, tree
from bench.gate.checkouts import check_out, launchers
from bench.gate.decision import Gate, SideNames, UntilDecided
from bench.machine import environment
from bench.suite import reports
from bench.suite.session import SessionRequest

HEAD_CHANGED = (
    "Head was changed while it was measured: its sets may have measured different code, so the "
    "verdicts do not apply to a single version of it."
)


def judge(session: SessionRequest, request: GateRequest, plan: Plan, progress: Progress) -> Gate:
    """Measure head and base, and judge.

    Raises ``RequestError`` or ``WorkerError`` if that is impossible, and ``KeyboardInterrupt`` if
    the gate is interrupted before anything was measured.
    """
    selected = {cell.id for cell in plan.cells}  # after -k
    deltas = {name: delta for name, delta in request.settings.deltas.items() if name in selected}
    settings = replace(request.settings, deltas=deltas)
    variables = environment.for_workers(os.environ, plan.environment)
    cpus = environment.cpus_for_workers(plan.environment)
    with (
        check_out(request.folder, base=request.base, base_python=request.base_python) as (
            head,
            base,
        ),
        launchers((head, base), variables, plan.imports, cpus) as (head_launcher, base_launcher),
    ):
        run = measurement.record(
            session.measure,
            plan,
            progress,
            session.folder,
            head_launcher,
            base=base_launcher,
            rule=UntilDecided(settings),
        )
        if tree.here(request.folder).digest != head.tree.digest:
            run = replace(run, notes=(*run.notes, HEAD_CHANGED))
    return Gate(run=run, sides=SideNames(head=head.name, base=base.name), settings=settings)


def write(session: SessionRequest, gate: Gate) -> tuple[Path, ...]:
    """Write the reports, also to GitHub, and return the files' paths.

    Ends the session with exit code 2 if head changed while it was measured.
    """
    written = reports.write(session.folder, gate.run, lambda folder: files.write_all(gate, folder))
    _report_to_github(gate)
    if HEAD_CHANGED in gate.run.notes:
        pytest.exit(HEAD_CHANGED, returncode=2)
    return written


def _report_to_github(gate: Gate) -> None:
    """Write the step summary and the annotations when this runs in GitHub Actions."""
    if summary := os.environ.get("GITHUB_STEP_SUMMARY"):
        with Path(summary).open("a", encoding="utf-8") as file:
            file.write(report.render(gate))
    if os.environ.get("GITHUB_ACTIONS") == "true":
        sys.stdout.write("".join(f"{line}\n" for line in report.annotations(gate)))
