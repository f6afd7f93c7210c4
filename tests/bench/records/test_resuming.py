from dataclasses import replace

import pytest

from bench.errors import RequestError
from bench.machine.environment import Environment
from bench.records.resuming import check_same, check_same_environment
from tests.bench import runs
from tests.bench.records.test_journal import PLAN


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"rounds": 4}, "rounds is 4, but the run began with 3"),
        ({"sets": 9}, "sets is 9, but the run began with 2"),
        ({"seed": 8}, "seed is 8, but the run began with 7"),
        ({"environment": "default"}, "environment is 'default', but .* 'pinned'"),
        ({"cells": (runs.EAGER,)}, "1 cell, but the run began with 2; .*torchvision/eager"),
    ],
)
def test_different_plan_is_refused_with_the_changed_field(
    changed: dict[str, object], words: str
) -> None:
    with pytest.raises(RequestError, match=words):
        check_same(replace(PLAN, **changed), PLAN)  # type: ignore[arg-type]


def test_different_budget_is_accepted() -> None:
    check_same(replace(PLAN, budget_s=60.0, extra_s=60.0, command="other"), PLAN)


def test_different_ceiling_is_accepted() -> None:
    """Ceilings do not affect timings, and earlier runs began without them."""
    check_same(replace(PLAN, ceiling=True), PLAN)
    check_same(PLAN, replace(PLAN, ceiling=True))


def test_different_environment_is_refused_with_the_changed_fact() -> None:
    check_same_environment(Environment(torch="2.11.0"), Environment(torch="2.11.0"))
    with pytest.raises(RequestError, match=r"torch is '2.12.0' here, .* began with '2.11.0'"):
        check_same_environment(Environment(torch="2.12.0"), Environment(torch="2.11.0"))


def test_resuming_on_another_cpu_names_every_fact_that_differs() -> None:
    here, there = (
        Environment(cpu="AMD EPYC", cpu_family=family, cpu_model=model)
        for family, model in ((26, 2), (25, 17))
    )
    with pytest.raises(RequestError) as caught:
        check_same_environment(here, there)
    for name in ("cpu_family", "cpu_model"):
        now, then = getattr(here, name), getattr(there, name)
        assert f"{name} is {now} here, but the run began with {then}" in str(caught.value)
