"""Judging a gate: head and base are measured in the same sets."""

import os
from dataclasses import replace

from bench.api import code, measuring
from bench.api.gate_request import GateRequest
from bench.api.measure_request import MeasureRequest
from bench.api.report_folder import ReportFolder
from bench.cells.plan import Plan
from bench.engine.progress import Progress
from bench.exits import Exit
from bench.gate import tree
from bench.gate.checkouts import check_out, launchers
from bench.gate.decision import Gate, SideNames, UntilDecided
from bench.machine import cores, pinned

HEAD_CHANGED = (
    "Head was changed while it was measured: its sets may have measured different code, so the "
    "verdicts do not apply to a single version of it."
)


def exit_code(gate: Gate, *, allow_inconclusive: bool) -> int:
    """Return the exit code of a gate; ``allow_inconclusive``: 0 instead of 3.

    It is 2 if the gate was interrupted, or if head was changed while it was measured.
    """
    if gate.run.status == "interrupted" or HEAD_CHANGED in gate.run.notes:
        return Exit.WRONG_REQUEST
    is_neutral = allow_inconclusive and gate.exit_code == Exit.UNDECIDED
    return Exit.FINE if is_neutral else gate.exit_code


def measure_gate(
    measure: MeasureRequest,
    request: GateRequest,
    plan: Plan,
    progress: Progress,
    folder: ReportFolder | None = None,
) -> Gate:
    """Measure head and base, and judge; with ``folder``, keep a journal in it.

    ``plan``: that of the request, or a part of it.

    Raises ``RequestError`` or ``WorkerError`` if that is impossible, and ``KeyboardInterrupt`` if
    the gate is interrupted before anything was measured.
    """
    selected = {cell.id for cell in plan.cells}  # after -k
    deltas = {name: delta for name, delta in request.settings.deltas.items() if name in selected}
    settings = replace(request.settings, deltas=deltas)
    variables = pinned.for_workers(os.environ, plan.environment)
    cpus = cores.cpus_for_workers(plan.environment)
    with (
        check_out(request.folder, base=request.base, base_python=request.base_python) as (
            head,
            base,
        ),
        launchers((head, base), variables, plan.imports, cpus, request.below) as (
            head_launcher,
            base_launcher,
        ),
    ):
        head_code, base_code = (
            code.of_side(plan, side.tree, request.below) for side in (head, base)
        )
        run = measuring.measure_here(
            measure,
            plan,
            progress,
            folder,
            head_launcher,
            base=base_launcher,
            rule=UntilDecided(settings),
        )
        run = replace(run, code=head_code, base_code=base_code)
        if tree.here(request.folder).digest != head.tree.digest:
            run = replace(run, notes=(*run.notes, HEAD_CHANGED))
    return Gate(run=run, sides=SideNames(head=head.name, base=base.name), settings=settings)
