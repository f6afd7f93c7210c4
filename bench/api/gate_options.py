"""The options of a gate: what head is compared with. Reading them needs no torch and no psutil."""

from dataclasses import dataclass

from bench.api import values
from bench.api.option import declared, flag, option
from bench.errors import RequestError
from bench.gate import group_sequential

GATE = "the gate: is head slower than a base?"
_BASE = values.not_empty("a base", " to measure without a gate")


@dataclass(frozen=True, kw_only=True)  # no slots: ``JudgeCall`` has a second base class
class GateOptions:
    """What head is compared with, and what counts as slower; None leaves it to the settings."""

    base: str | None = option(
        "compare the code here, including uncommitted changes, with this revision; both are "
        "measured in the same sets",
        metavar="REV",
        parse=_BASE,
        group=GATE,
    )
    base_python: str | None = option(
        "run the base with another interpreter, for example one with another torch",
        metavar="PATH",
        parse=_BASE,
        group=GATE,
    )
    delta: float | None = option(
        f"smallest relative slowdown that counts (default: {group_sequential.LEAST_EFFECT})",
        metavar="SHARE",
        parse=values.positive(),
        group=GATE,
    )
    most_sets: int | None = option(
        "stop measuring a cell after this many sets, at least "
        f"{group_sequential.FIRST_CHANGE} (default: {group_sequential.MOST_SETS}); a change is "
        f"reported from set {group_sequential.FIRST_CHANGE} on",
        metavar="N",
        parse=values.at_least(1),
        group=GATE,
    )
    allow_inconclusive: bool = option(
        "end with exit code 0 instead of 3 if no cell is slower but some are inconclusive; the "
        "report still says so",
        parse=values.switch,
        default=False,
        group=GATE,
    )

    @property
    def asks_for_gate(self) -> bool:
        """Whether there is a base; raises ``RequestError`` for the other options without one."""
        if self.base is not None or self.base_python is not None:
            return True
        for name, each in declared(GateOptions).items():
            if getattr(self, name) != each.default:
                raise RequestError(
                    f"{flag(name)} applies only to a gate: name the base with --base or "
                    f"--base-python, or omit {flag(name)} to measure without a gate"
                )
        return False
