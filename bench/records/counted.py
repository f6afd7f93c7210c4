"""How an arch's multiply-accumulates were counted, according to a run file. Needs no torch.

The keys are those of ``Cost.per_image`` (bench/worker/cost.py). Files from before 2026-12 have only
the counts.
"""

from collections.abc import Iterable, Iterator, Mapping

from bench.records.reported import ArchCost

FIRST_COUNTER = "fvcore, with tables of this suite's"  # used by files that name no counter


def counter(costs: Iterable[ArchCost]) -> str:
    """Return what counted the MACs of a run's archs; empty if nothing was counted."""
    counted = (cost for cost in costs if cost.macs_per_image is not None)
    counters = (cost.counter or FIRST_COUNTER for cost in counted)
    return " and ".join(dict.fromkeys(counters))


def is_lower_bound(cost: ArchCost) -> bool:
    """Whether an operator ran that may multiply but is not counted."""
    return bool(cost.uncounted)


def not_counted(uncounted: Mapping[str, int]) -> str:
    """Return for example ``plus 3 × aten::foo``; empty if everything is counted."""
    names = ", ".join(f"{calls} × {name}" for name, calls in uncounted.items())
    return f"plus {names}" if names else ""


def notes_on(cost: ArchCost) -> Iterator[str]:
    """Yield caveats about an arch's MACs: sentences that begin in lower case."""
    if error := cost.error:
        yield f"its parameters and MACs are unknown: {error}"
    if is_lower_bound(cost):
        yield (
            f"its MACs are a lower bound: {not_counted(cost.uncounted)}, not counted; "
            "call torch.utils.flop_counter.register_flop_formula in the module that builds the "
            "network to add a formula for your own operator"
        )
    if (next_macs := cost.macs_in_the_next_call) is not None:
        yield (
            f"its MACs depend on earlier calls: {cost.macs_per_image:,} in the second call and "
            f"{next_macs:,} in the fourth, on the same images"
        )
    if (other_macs := cost.macs_on_other_images) is not None:
        yield (
            f"its MACs depend on the images: {cost.macs_per_image:,} on some random images and "
            f"{other_macs:,} on others"
        )
    for disagreement in cost.fvcore_disagreements:
        yield f"fvcore counts other MACs than PyTorch's counter: {disagreement}"
