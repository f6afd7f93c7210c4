"""Counted: what a run file says of how an arch's multiply-accumulates were counted. No torch.

The keys are those of ``Cost.per_image`` (bench/worker/cost.py); files from before 2026-12 have the
counts alone.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

FIRST_COUNTER = "fvcore, with tables of this suite's"  # of files that name no counter


def counter(costs: Iterable[Mapping[str, Any]]) -> str:
    """What counted the MACs of a run's archs; empty where nothing was counted."""
    counters = (cost.get("counter", FIRST_COUNTER) for cost in costs if "macs_per_image" in cost)
    return " and ".join(dict.fromkeys(counters))


def is_lower_bound(cost: Mapping[str, Any]) -> bool:
    """Whether an operator ran that may multiply and that nothing counts."""
    return bool(cost.get("uncounted"))


def not_counted(uncounted: Mapping[str, int]) -> str:
    """``plus 3 × aten::foo``; empty where everything is counted."""
    names = ", ".join(f"{ran} × {name}" for name, ran in uncounted.items())
    return f"plus {names}" if names else ""


def notes_on(cost: Mapping[str, Any]) -> Iterator[str]:
    """What a reader must know of an arch's MACs, in sentences that begin in lower case."""
    if error := cost.get("error"):
        yield f"its parameters and MACs are unknown: {error}"
    if is_lower_bound(cost):
        yield (
            f"its MACs are a lower bound: {not_counted(cost['uncounted'])}, not counted; "
            "torch.utils.flop_counter.register_flop_formula, called in the module that builds the "
            "network, adds a formula for an operator of yours"
        )
    if (again := cost.get("macs_in_the_next_call")) is not None:
        yield (
            f"its MACs depend on earlier calls: {cost['macs_per_image']:,} in the second, and "
            f"{again:,} in the fourth, of the same images"
        )
    if (others := cost.get("macs_on_other_images")) is not None:
        yield (
            f"its MACs depend on the images: {cost['macs_per_image']:,} on some random images, and "
            f"{others:,} on others"
        )
    for disagreement in cost.get("fvcore_disagreements") or ():
        yield f"fvcore counts other MACs than PyTorch's counter: {disagreement}"
