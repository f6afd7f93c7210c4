"""A gate in a pytest session: measure both sides, judge them and write the reports."""

import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from bench.cells.plan import Plan
from bench.gate import files, report, tree
from bench.gate.checkouts import check_out, launchers
from bench.gate.decision import Gate, SideNames, UntilDecided
from bench.machine import environment
from bench.suite import measurement
from bench.suite.gate_options import REQUEST

HEAD_CHANGED = (
    "Head was changed while it was measured: its sets may have measured different code, so the "
    "verdicts do not apply to a single version of it."
)


def run_gate(config: pytest.Config, plan: Plan, console: Console) -> tuple[Gate, tuple[Path, ...]]:
    """Measure head and base, judge, and write the reports; return the gate and the files' paths.

    Raises ``RequestError`` or ``WorkerError`` if that is impossible, and ``KeyboardInterrupt`` if
    the gate is interrupted before anything was measured. Ends the session with exit code 2 if head
    changed meanwhile.
    """
    request, folder = config.stash[REQUEST], config.invocation_params.dir
    selected = {cell.id for cell in plan.cells}  # after -k
    deltas = {name: delta for name, delta in request.settings.deltas.items() if name in selected}
    settings = replace(request.settings, deltas=deltas)
    variables = environment.for_workers(os.environ, plan.environment)
    cpus = environment.cpus_for_workers(plan.environment)
    changes: list[str] = []
    with (
        check_out(folder, base=request.base, base_python=request.base_python) as (head, base),
        launchers((head, base), variables, plan.imports, cpus) as (head_launcher, base_launcher),
    ):
        rule = UntilDecided(settings)
        run = measurement.record(
            config, plan, console, head_launcher, base=base_launcher, rule=rule
        )
        if tree.here(folder).digest != head.tree.digest:
            changes.append(HEAD_CHANGED)
    gate = Gate(
        run=replace(run, notes=(*run.notes, *changes)),
        sides=SideNames(head=head.name, base=base.name),
        settings=settings,
    )
    written = measurement.write_reports(config, run, lambda folder: files.write_all(gate, folder))
    _report_to_github(gate)
    if changes:
        pytest.exit(HEAD_CHANGED, returncode=2)
    return gate, written


def _report_to_github(gate: Gate) -> None:
    """Write the step summary and the annotations when this runs in GitHub Actions."""
    if summary := os.environ.get("GITHUB_STEP_SUMMARY"):
        with Path(summary).open("a", encoding="utf-8") as file:
            file.write(report.render(gate))
    if os.environ.get("GITHUB_ACTIONS") == "true":
        sys.stdout.write("".join(f"{line}\n" for line in report.annotations(gate)))
