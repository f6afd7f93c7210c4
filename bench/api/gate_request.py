"""The request for a gate, which compares head with a base instead of measuring head alone.

The settings of the judged tree supply what the options do not (bench/api/project.py).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import product
from pathlib import Path

from bench import archs, git, pyproject
from bench.api import planning, project
from bench.api.gate_options import GateOptions
from bench.api.measure_request import MeasureRequest
from bench.api.option import flag
from bench.api.profiles import PROFILES
from bench.api.project import GateTable
from bench.cells import modes
from bench.cells.cell import Cell
from bench.cells.plan import Plan
from bench.errors import RequestError
from bench.gate import exceptions, group_sequential
from bench.gate.group_sequential import Settings

BUDGET_S = 1200.0  # enough for at least twelve sets of six cells on two cores
PROFILE = "quick"
MEASURE_ONLY = (
    "sets",
    "precision",
    "resume",
    "ceiling",
    "energy",
    "operators",
    "fit",
    "front",
    "hosts",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class GateRequest:
    """The plan, settings and base of a gate."""

    plan: Plan
    settings: Settings
    folder: Path
    """The folder whose tree is head; relative files of networks are looked up in it first."""
    base: str | None
    """A git revision; None to run head's code with another interpreter."""
    base_python: str | None
    """Path of the base's interpreter; None for the current one."""
    allow_inconclusive: bool
    """Whether the exit code of an inconclusive gate is 0."""

    @property
    def below(self) -> Path:
        """The folder, relative to the root of its tree."""
        return self.folder.resolve().relative_to(git.top(self.folder))


def make_request(
    request: MeasureRequest, options: GateOptions, folder: Path, *, command: str = ""
) -> GateRequest:
    """Return the gate that the options and the settings of the tree at ``folder`` describe.

    Raises ``RequestError`` if they are invalid.
    """
    for name in MEASURE_ONLY:
        if getattr(request, name):
            raise RequestError(
                f"{flag(name)} cannot be combined with a gate, which decides this itself"
            )
    root = pyproject.root(folder)
    table = project.read(root).for_gate
    chosen = Settings(
        delta=table.delta if options.delta is None else options.delta,
        alpha=table.alpha,
        most_sets=table.most_sets if options.most_sets is None else options.most_sets,
    )
    group_sequential.check(chosen)
    profile = planning.profile_defaults(request, PROFILE)
    defaults = replace(profile, sets=group_sequential.FIRST_LOOK, extra_s=table.budget or BUDGET_S)
    plan = planning.make_plan(project.fill(request, table), defaults, command=command)
    excepted = _excepted(table, plan.cells)
    deltas = {name: max(delta, chosen.delta) for name, delta in excepted.items()}
    budget_s = table.budget if plan.budget_s is None else plan.budget_s
    return GateRequest(
        plan=replace(plan, against_base=True, ceiling=False, energy=False, budget_s=budget_s),
        settings=replace(chosen, deltas=deltas),
        folder=project.folder_of_files(request, table, root=root, current=folder),
        base=options.base,
        base_python=options.base_python,
        allow_inconclusive=options.allow_inconclusive,
    )


def _excepted(table: GateTable, cells: Sequence[Cell]) -> Mapping[str, float]:
    """Return the least effects of the excepted cells, by cell id.

    Raises ``RequestError`` unless the exceptions are valid with the settings alone.
    """
    configured = tuple(_configured_cells(table, cells[0].device))
    deltas = exceptions.deltas(table.exceptions, cells, configured, datetime.now(UTC).date())
    group_sequential.check(Settings(delta=table.delta, deltas=deltas))
    return deltas


def _configured_cells(table: GateTable, device: str) -> Iterator[Cell]:
    """Yield the cells that the settings select, on every device, because settings name none."""
    quick = PROFILES[PROFILE]
    for arch, mode, dtype, batch_size, task, each_device in product(
        archs.expand(table.archs or quick.archs),
        map(modes.canonical, table.modes or quick.modes),
        table.dtypes or ("fp32",),
        table.batch_sizes or quick.batch_sizes(device),
        table.tasks or ("infer",),
        {device, "cpu", "cuda"},
    ):
        yield Cell(
            arch=arch, mode=mode, dtype=dtype, batch_size=batch_size, task=task, device=each_device
        )
