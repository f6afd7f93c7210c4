"""Comparability of runs: the circumstances, which are facts that must be equal in both."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from bench.errors import RequestError
from bench.machine import cpu
from bench.records.record import RunRecord

_Facts = Mapping[str, Any]


def _of_environment(*names: str) -> Callable[[RunRecord], _Facts]:
    return lambda run: {name: getattr(run.environment, name) for name in names}


def _device(run: RunRecord) -> _Facts:
    about = run.environment
    # On a CPU the name is part of the circumstance ``machine``.
    name = None if about.device == "cpu" else about.device_name
    return {"device": about.device, "device_name": name}


def _machine(run: RunRecord) -> _Facts:
    """Return facts about the CPU. Earlier files have some only in pytest-benchmark's part."""
    about = cpu.from_cpuinfo(run.machine_info.get("cpu")).merged(run.environment)
    names = (*cpu.IDENTITY, "physical_cores", "cpu_capability")
    return {name: getattr(about, name) for name in names}


# Locations, and the choice among identical devices, do not affect the figures. The fact ``threads``
# has the resulting number of threads.
_NO_MATTER = ("_HOME", "_VISIBLE_DEVICES", "OMP_NUM_THREADS")


def _settings(run: RunRecord) -> _Facts:
    variables = run.environment.variables
    return {
        "environment": run.plan.environment,
        "cudnn_benchmark": run.environment.cudnn_benchmark,
        **{name: value for name, value in variables.items() if not name.endswith(_NO_MATTER)},
    }


def _card(run: RunRecord) -> _Facts:
    """Return the settings of the cards: one value if all are equal, else a list."""
    cards = run.environment.cards.values()
    facts = {}
    for name in ("mig", "mps_seen", "power_limit_w"):
        values = list(dict.fromkeys(getattr(about, name) for about in cards)) or [None]
        facts[name] = values[0] if len(values) == 1 else values
    return facts


def _python(run: RunRecord) -> _Facts:
    version = run.environment.python
    return {"python": version and ".".join(version.split(".")[:2])}


def _l2(run: RunRecord) -> _Facts:
    return {"l2": run.plan.l2 if run.environment.is_on_gpu else None}


def _image_size(run: RunRecord) -> _Facts:
    setups = (setup for record in run.cells for setup in record.setups)
    sizes = {setup.image_size or ", ".join(setup.input_shapes) or None for setup in setups} - {None}
    if len(sizes) > 1:
        return {"image_size": "that of each network"}
    return {"image_size": next(iter(sizes), run.plan.image_size or None)}


CIRCUMSTANCES: Mapping[str, Callable[[RunRecord], _Facts]] = MappingProxyType(
    {
        "device": _device,
        "dtype": lambda _: {},  # a property of the cell, not of the run
        "machine": _machine,
        "threads": _of_environment("threads"),
        "environment": _settings,
        "torch": _of_environment("torch", "cuda", "cudnn"),
        "torchvision": _of_environment("torchvision"),
        "libraries": lambda run: run.environment.libraries,
        "driver": _of_environment("driver"),
        "card": _card,
        "python": _python,
        "l2": _l2,
        "image-size": _image_size,
    }
)
"""Functions that return a run's facts, by circumstance.

Two runs must have the same facts, except for the circumstances named in ``across``. A value of None
means that the run does not know it.
"""


# What the absence of a fact means, by circumstance; elsewhere it is unknown.
_ABSENT = {"environment": "not set"}


class EnvironmentDifference(NamedTuple):
    """A fact that differs between two runs."""

    circumstance: str
    fact: str
    a: Any
    b: Any

    def __str__(self) -> str:
        return f"{self.fact} is {self.a!r} in A and {self.b!r} in B"


def differences(a: RunRecord, b: RunRecord) -> tuple[list[EnvironmentDifference], list[str]]:
    """Return the facts that differ, and the names of facts that one run does not know."""
    differing, unknown = [], []
    for circumstance, facts in CIRCUMSTANCES.items():
        facts_a, facts_b = facts(a), facts(b)
        for fact in dict.fromkeys((*facts_a, *facts_b)):
            absent = _ABSENT.get(circumstance)
            value_a, value_b = facts_a.get(fact, absent), facts_b.get(fact, absent)
            if value_a == value_b:
                continue
            if value_a is None or value_b is None:
                unknown.append(fact)
            else:
                differing.append(EnvironmentDifference(circumstance, fact, value_a, value_b))
    return differing, unknown


def refuse(differing: Sequence[EnvironmentDifference]) -> None:
    """Raise ``RequestError`` if anything differs; it names the option to ignore this."""
    if differing:
        names = ",".join(dict.fromkeys(difference.circumstance for difference in differing))
        raise RequestError(
            f"A and B were not measured under the same circumstances: "
            f"{'; '.join(map(str, differing))}. To compare them anyway: --across {names}"
        )
