"""The resources of a plan on this machine: the launcher of its workers, and its cards."""

import os

from bench.cells.plan import Plan
from bench.engine.progress import Progress
from bench.launch.fork_client import WORKER
from bench.launch.launchers import Launcher, launcher
from bench.machine import cores, pinned, run_cards


def launcher_of(plan: Plan, *, ahead: int, module: str = WORKER) -> Launcher:
    """Return the launcher of a plan's workers, to be closed; ``module`` is that of the worker.

    ``ahead`` is the number of fork servers that import at the same time.
    """
    variables = pinned.for_workers(os.environ, plan.environment)
    cpus = cores.cpus_for_workers(plan.environment)
    return launcher(variables, plan.imports, cpus, ahead=ahead, module=module)


def cards_of(plan: Plan, progress: Progress) -> run_cards.Cards:
    """Return the cards of a plan's devices; note those that are shared or unknown."""
    devices = plan.devices or (plan.cells[0].device,)
    result = run_cards.find(devices, allow_shared=plan.allow_shared)
    for device, processes in result.shared.items():
        progress.note(f"{device} is also used by other processes: {'; '.join(processes)}")
    for device, why in result.unknown.items():
        progress.note(f"the state of {device} is unknown: {why}")
    return result
