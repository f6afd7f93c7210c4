"""Circumstances: what two runs must share to be compared, and what to say where they do not."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from bench.machine import cpu
from bench.names import RequestError
from bench.records.record import RunRecord

_Facts = Mapping[str, Any]


def _of_environment(*names: str) -> Callable[[RunRecord], _Facts]:
    return lambda run: {name: run.environment.get(name) for name in names}


def _device(run: RunRecord) -> _Facts:
    about = run.environment
    name = None if about.get("device") == "cpu" else about.get("device_name")  # the machine's
    return {"device": about.get("device"), "device_name": name}


def _machine(run: RunRecord) -> _Facts:
    """The CPU; an earlier file's ``environment`` lacks the facts that pytest-benchmark kept."""
    told = {name: value for name, value in run.environment.items() if value is not None}
    about = {**cpu.from_cpuinfo(run.machine_info.get("cpu")), **told}
    return {name: about.get(name) for name in (*cpu.IDENTITY, "physical_cores", "cpu_capability")}


# Where something lies, and which of several like devices, explains no number; of the threads there
# is a fact that says what it came to.
_NO_MATTER = ("_HOME", "_VISIBLE_DEVICES", "OMP_NUM_THREADS")


def _settings(run: RunRecord) -> _Facts:
    variables = run.environment.get("variables", {})
    return {
        "environment": run.plan.get("environment"),
        "cudnn_benchmark": run.environment.get("cudnn_benchmark"),
        **{name: value for name, value in variables.items() if not name.endswith(_NO_MATTER)},
    }


def _card(run: RunRecord) -> _Facts:
    """What each card may do, one value where all are alike."""
    cards = list((run.environment.get("cards") or {}).values())
    facts = {}
    for name in ("mig", "mps_seen", "power_limit_w"):
        values = list(dict.fromkeys(about.get(name) for about in cards)) or [None]
        facts[name] = values[0] if len(values) == 1 else values
    return facts


def _python(run: RunRecord) -> _Facts:
    version = run.environment.get("python")
    return {"python": version and ".".join(str(version).split(".")[:2])}


def _l2(run: RunRecord) -> _Facts:
    on_gpu = str(run.environment.get("device")).startswith("cuda")
    return {"l2": run.plan.get("l2") if on_gpu else None}


CIRCUMSTANCES: Mapping[str, Callable[[RunRecord], _Facts]] = MappingProxyType(
    {
        "device": _device,
        "dtype": lambda _: {},  # a cell's, not a run's
        "machine": _machine,
        "threads": _of_environment("threads"),
        "environment": _settings,
        "torch": _of_environment("torch", "cuda", "cudnn"),
        "torchvision": _of_environment("torchvision"),
        "driver": _of_environment("driver"),
        "card": _card,
        "python": _python,
        "l2": _l2,
        "image-size": lambda run: {"image_size": run.plan.get("image_size")},
    }
)
"""What two runs must share unless ``across`` names it, and what a run tells of it.

None stands for what a run does not know.
"""


class EnvironmentDifference(NamedTuple):
    """A fact that is not the same in both runs."""

    circumstance: str
    fact: str
    a: Any
    b: Any

    def __str__(self) -> str:
        return f"{self.fact} is {self.a!r} in A and {self.b!r} in B"


def differences(a: RunRecord, b: RunRecord) -> tuple[list[EnvironmentDifference], list[str]]:
    """What is not the same in both runs, and what one of them does not tell."""
    found, unknown = [], []
    for circumstance, facts in CIRCUMSTANCES.items():
        of_a, of_b = facts(a), facts(b)
        for fact in dict.fromkeys((*of_a, *of_b)):
            one, other = of_a.get(fact, "not set"), of_b.get(fact, "not set")
            if one == other:
                continue
            if one is None or other is None:
                unknown.append(fact)
            else:
                found.append(EnvironmentDifference(circumstance, fact, one, other))
    return found, unknown


def refuse(found: Sequence[EnvironmentDifference]) -> None:
    """Raise ``RequestError`` where anything differs, with what would let it pass."""
    if found:
        names = ",".join(dict.fromkeys(difference.circumstance for difference in found))
        raise RequestError(
            f"A and B were not measured under the same circumstances: "
            f"{'; '.join(map(str, found))}. To compare them nevertheless: --across {names}"
        )
