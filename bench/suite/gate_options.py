"""The gate's options, and what it is asked: with ``--base`` the suite judges instead of measuring.

What they leave open, the settings of the tree decide that is judged (bench/gate/settings.py).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import product

import pytest

from bench.cells import modes
from bench.cells.cell import Cell
from bench.cells.plan import Plan
from bench.gate import git, judge, settings
from bench.gate.judge import Settings
from bench.gate.settings import GateTable
from bench.names import RequestError
from bench.suite import planning, values
from bench.suite.profiles import PROFILES

BUDGET_S = 1200.0  # for twelve and more sets of six cells on two cores
PROFILE = "quick"
FOR_GATES = ("--delta", "--most-sets")
NOT_FOR_GATES = ("--sets", "--precision", "--resume", "--ceiling", "--energy", "--fit")


@dataclass(frozen=True, slots=True, kw_only=True)
class GateRequest:
    """What a gate is to do."""

    plan: Plan
    settings: Settings
    base: str | None
    """A revision; None for head's code, by another interpreter."""
    base_python: str | None


ASKED = pytest.StashKey[GateRequest]()


def add(parser: pytest.Parser) -> None:
    """Add every option, in a group of its own."""
    group = parser.getgroup("googlenet-bench gate", "googlenet-bench: is head slower than a base?")
    group.addoption(
        "--base",
        metavar="REV",
        help="judge the code here, uncommitted changes and all, against this revision's, both "
        "measured in the same sets",
    )
    group.addoption(
        "--base-python",
        metavar="PATH",
        help="judge against the base as another interpreter runs it, with another torch, say",
    )
    group.addoption(
        "--delta",
        metavar="SHARE",
        help=f"the least effect that matters (default: {judge.LEAST_EFFECT})",
    )
    group.addoption(
        "--most-sets",
        metavar="N",
        help=f"give a cell up after so many sets, {judge.FIRST_CHANGE} at the least (default: "
        f"{judge.MOST_SETS}); a change is named from {judge.FIRST_CHANGE} on",
    )


def refuse(config: pytest.Config) -> None:
    """Raise ``RequestError`` where only measuring is asked for, with options of judging."""
    for option in FOR_GATES:
        if config.getoption(option) is not None:
            raise RequestError(
                f"{option} is a gate's: name what to judge against with --base or --base-python, "
                "or leave it out to measure only"
            )


def ask(config: pytest.Config) -> GateRequest:
    """What the options and the settings ask for; raises ``RequestError`` for nonsense."""
    for option in ("--base", "--base-python"):
        if config.getoption(option) == "":
            raise RequestError(f"{option} is empty: name a base, or leave it out to measure only")
    for option in NOT_FOR_GATES:
        if config.getoption(option):
            raise RequestError(f"{option} does not go with a gate, which decides that itself")
    table = settings.read(git.top(config.invocation_params.dir))
    asked = Settings(
        delta=values.positive(config, "--delta") or table.delta,
        alpha=table.alpha,
        most_sets=values.at_least(1, config, "--most-sets", table.most_sets),
    )
    judge.check(asked)
    plan = planning.make_plan(config, _defaults(config, table))
    excepted = _excepted(table, plan.cells)
    deltas = {name: max(delta, asked.delta) for name, delta in excepted.items()}
    budget_s = table.budget if plan.budget_s is None else plan.budget_s
    return GateRequest(
        plan=replace(
            plan,
            against_base=True,
            ceiling=False,
            energy=False,
            budget_s=budget_s,
        ),
        settings=replace(asked, deltas=deltas),
        base=config.getoption("--base"),
        base_python=config.getoption("--base-python"),
    )


def _defaults(config: pytest.Config, table: GateTable) -> planning.Defaults:
    """The profile's, but for what the settings say where no profile was asked for."""
    profile = planning.of_profile(config, PROFILE)
    said = GateTable() if config.getoption("--profile") else table
    return replace(
        profile,
        archs=said.archs or profile.archs,
        modes=said.modes or profile.modes,
        dtypes=said.dtypes or profile.dtypes,
        batch_sizes=said.batch_sizes or profile.batch_sizes,
        tasks=said.tasks or profile.tasks,
        sets=judge.FIRST_LOOK,
        extra_s=table.budget or BUDGET_S,
    )


def _excepted(table: GateTable, cells: Sequence[Cell]) -> Mapping[str, float]:
    """The least effects of the settings' exceptions, which must be right by the settings alone."""
    own = tuple(_own(table, cells[0].device))
    found = settings.deltas(table.exceptions, cells, own, datetime.now(UTC).date())
    judge.check(Settings(delta=table.delta, deltas=found))
    return found


def _own(table: GateTable, device: str) -> Iterator[Cell]:
    """The cells that the settings ask for, on whatever device: they name none."""
    quick = PROFILES[PROFILE]
    for arch, mode, dtype, batch_size, task, on in product(
        table.archs or quick.archs,
        map(modes.canonical, table.modes or quick.modes),
        table.dtypes or ("fp32",),
        table.batch_sizes or quick.batch_sizes(device),
        table.tasks or ("infer",),
        {device, "cpu", "cuda"},
    ):
        yield Cell(arch=arch, mode=mode, dtype=dtype, batch_size=batch_size, task=task, device=on)
