"""Whether a run can be resumed: its plan and its environment must be those in which it began."""

import msgspec

from bench.cells.plan import Plan
from bench.errors import RequestError
from bench.machine.environment import Environment
from bench.units import counted

_CHANGEABLE = frozenset(
    {"budget_s", "extra_s", "command", "profile", "ceiling", "fit", "default_foreign_cpus", "front"}
)


def check_same(plan: Plan, begun: Plan) -> None:
    """Raise ``RequestError`` if the plan is not that of the begun run; it names what changed."""
    now, then = msgspec.to_builtins(plan), msgspec.to_builtins(begun)
    for name in sorted(now.keys() - _CHANGEABLE):
        if now[name] == then[name]:
            continue
        if name == "cells":
            differing = {cell.id for cell in begun.cells} ^ {cell.id for cell in plan.cells}
            raise RequestError(
                f"cannot resume: the plan has {counted(len(plan.cells), 'cell')}, but the run "
                f"began with {len(begun.cells)}; the first difference is "
                f"{min(differing, default='?')}"
            )
        raise RequestError(
            f"cannot resume: {name} is {now[name]!r}, but the run began with {then[name]!r}"
        )


def differences(now: Environment, then: Environment) -> list[str]:
    """Return every fact that differs from the environment in which the run began, in words."""
    facts_now, facts_then = msgspec.to_builtins(now), msgspec.to_builtins(then)
    return [
        f"{name} is {facts_now.get(name)!r} here, but the run began with {facts_then.get(name)!r}"
        for name in sorted(facts_now.keys() | facts_then.keys())
        if facts_now.get(name) != facts_then.get(name)
    ]


def check_same_environment(now: Environment, then: Environment) -> None:
    """Raise ``RequestError`` if the environment changed; it names every fact that differs."""
    if differing := differences(now, then):
        raise RequestError(
            f"cannot resume: {'; '.join(differing)}. Resume it in its original environment, "
            "or start a new run without --resume"
        )
