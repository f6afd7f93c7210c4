"""Holding a gate in a pytest session: both sides, their run, and what is shown of it."""

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
from bench.suite.gate_options import ASKED

HEAD_CHANGED = (
    "Head was changed while it was measured: its sets may be of different code, and the verdicts "
    "of none in particular."
)


def hold(config: pytest.Config, plan: Plan, console: Console) -> tuple[Gate, tuple[Path, ...]]:
    """Measure head and base, judge, and write the reports; the gate, and the files.

    Raises ``RequestError`` and ``WorkerError`` where that cannot be done, and ``KeyboardInterrupt``
    where nothing was measured yet. Ends the session with exit code 2 where head changed meanwhile.
    """
    asked, folder = config.stash[ASKED], config.invocation_params.dir
    left = {cell.id for cell in plan.cells}  # of -k
    deltas = {name: delta for name, delta in asked.settings.deltas.items() if name in left}
    settings = replace(asked.settings, deltas=deltas)
    variables = environment.for_workers(os.environ, plan.environment)
    cpus = environment.cpus_for_workers(plan.environment)
    changes: list[str] = []
    with (
        check_out(folder, base=asked.base, base_python=asked.base_python) as (head, base),
        launchers((head, base), variables, plan.imports, cpus) as (ours, theirs),
    ):
        rule = UntilDecided(settings)
        run = measurement.record(config, plan, console, ours, base=theirs, rule=rule)
        if tree.here(folder).digest != head.tree.digest:
            changes.append(HEAD_CHANGED)
    gate = Gate(
        run=replace(run, notes=(*run.notes, *changes)),
        sides=SideNames(head=head.name, base=base.name),
        settings=settings,
    )
    written = measurement.keep(config, run, lambda folder: files.write_all(gate, folder))
    _tell_github(gate)
    if changes:
        pytest.exit(HEAD_CHANGED, returncode=2)
    return gate, written


def _tell_github(gate: Gate) -> None:
    """Write the step's summary and the annotations, where this runs in GitHub Actions."""
    if summary := os.environ.get("GITHUB_STEP_SUMMARY"):
        with Path(summary).open("a", encoding="utf-8") as file:
            file.write(report.render(gate))
    if os.environ.get("GITHUB_ACTIONS") == "true":
        sys.stdout.write("".join(f"{line}\n" for line in report.annotations(gate)))
