"""The gate's options: with ``--base`` the suite judges instead of measuring.

The settings of the judged tree supply what the options do not (bench/gate/settings.py).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import product

import pytest

from bench import git
from bench.cells import modes
from bench.cells.cell import Cell
from bench.cells.plan import Plan
from bench.gate import judge, settings
from bench.gate.judge import Settings
from bench.gate.settings import GateTable
from bench.names import RequestError
from bench.suite import planning, values
from bench.suite.profiles import PROFILES

BUDGET_S = 1200.0  # enough for at least twelve sets of six cells on two cores
PROFILE = "quick"
GATE_ONLY = ("--delta", "--most-sets")
MEASURE_ONLY = ("--sets", "--precision", "--resume", "--ceiling", "--energy", "--fit")


@dataclass(frozen=True, slots=True, kw_only=True)
class GateRequest:
    """The plan, settings and base of a gate."""

    plan: Plan
    settings: Settings
    base: str | None
    """A git revision; None to run head's code with another interpreter."""
    base_python: str | None
    """Path of the base's interpreter; None for the current one."""


REQUEST = pytest.StashKey[GateRequest]()


def add(parser: pytest.Parser) -> None:
    """Add the gate's options, in their own group."""
    group = parser.getgroup("googlenet-bench gate", "googlenet-bench: is head slower than a base?")
    group.addoption(
        "--base",
        metavar="REV",
        help="compare the code here, including uncommitted changes, with this revision; both are "
        "measured in the same sets",
    )
    group.addoption(
        "--base-python",
        metavar="PATH",
        help="run the base with another interpreter, for example one with another torch",
    )
    group.addoption(
        "--delta",
        metavar="SHARE",
        help=f"smallest relative slowdown that counts (default: {judge.LEAST_EFFECT})",
    )
    group.addoption(
        "--most-sets",
        metavar="N",
        help=f"stop measuring a cell after this many sets, at least {judge.FIRST_CHANGE} (default: "
        f"{judge.MOST_SETS}); a change is reported from set {judge.FIRST_CHANGE} on",
    )


def refuse(config: pytest.Config) -> None:
    """Raise ``RequestError`` if an option of the gate is used without a base."""
    for option in GATE_ONLY:
        if config.getoption(option) is not None:
            raise RequestError(
                f"{option} applies only to a gate: name the base with --base or --base-python, or "
                f"omit {option} to measure without a gate"
            )


def make_request(config: pytest.Config) -> GateRequest:
    """Return the gate that the options and the settings describe.

    Raises ``RequestError`` if they are invalid.
    """
    for option in ("--base", "--base-python"):
        if config.getoption(option) == "":
            raise RequestError(
                f"{option} is empty: name a base, or omit the option to measure without a gate"
            )
    for option in MEASURE_ONLY:
        if config.getoption(option):
            raise RequestError(
                f"{option} cannot be combined with a gate, which decides this itself"
            )
    table = settings.read(git.top(config.invocation_params.dir))
    chosen = Settings(
        delta=values.positive(config, "--delta") or table.delta,
        alpha=table.alpha,
        most_sets=values.at_least(1, config, "--most-sets", table.most_sets),
    )
    judge.check(chosen)
    plan = planning.make_plan(config, _defaults(config, table))
    exceptions = _exceptions(table, plan.cells)
    deltas = {name: max(delta, chosen.delta) for name, delta in exceptions.items()}
    budget_s = table.budget if plan.budget_s is None else plan.budget_s
    return GateRequest(
        plan=replace(
            plan,
            against_base=True,
            ceiling=False,
            energy=False,
            budget_s=budget_s,
        ),
        settings=replace(chosen, deltas=deltas),
        base=config.getoption("--base"),
        base_python=config.getoption("--base-python"),
    )


def _defaults(config: pytest.Config, table: GateTable) -> planning.Defaults:
    """Return the profile's defaults; without ``--profile``, the settings take precedence."""
    profile = planning.profile_defaults(config, PROFILE)
    configured = GateTable() if config.getoption("--profile") else table
    return replace(
        profile,
        archs=configured.archs or profile.archs,
        modes=configured.modes or profile.modes,
        dtypes=configured.dtypes or profile.dtypes,
        batch_sizes=configured.batch_sizes or profile.batch_sizes,
        tasks=configured.tasks or profile.tasks,
        sets=judge.FIRST_LOOK,
        extra_s=table.budget or BUDGET_S,
    )


def _exceptions(table: GateTable, cells: Sequence[Cell]) -> Mapping[str, float]:
    """Return the least effects of the excepted cells, by cell id.

    Raises ``RequestError`` unless the exceptions are valid with the settings alone.
    """
    configured = tuple(_configured_cells(table, cells[0].device))
    deltas = settings.deltas(table.exceptions, cells, configured, datetime.now(UTC).date())
    judge.check(Settings(delta=table.delta, deltas=deltas))
    return deltas


def _configured_cells(table: GateTable, device: str) -> Iterator[Cell]:
    """Yield the cells that the settings select, on every device, because settings name none."""
    quick = PROFILES[PROFILE]
    for arch, mode, dtype, batch_size, task, each_device in product(
        table.archs or quick.archs,
        map(modes.canonical, table.modes or quick.modes),
        table.dtypes or ("fp32",),
        table.batch_sizes or quick.batch_sizes(device),
        table.tasks or ("infer",),
        {device, "cpu", "cuda"},
    ):
        yield Cell(
            arch=arch, mode=mode, dtype=dtype, batch_size=batch_size, task=task, device=each_device
        )
