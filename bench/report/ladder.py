"""The ladder: the cost of each factor between two networks, one factor at a time.

Two networks of the registry are neighbours if they differ in one factor. A step goes from one to
the other in the same mode. Its ratio is computed like every ratio: within rounds, then over sets.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, fields
from itertools import product

from googlenet.config import GoogLeNetConfig
from googlenet.variants import VARIANTS

# Dropouts act in training only, so they do not change what a forward pass computes.
_DROPOUTS = frozenset({"dropout", "aux_dropout"})


@dataclass(frozen=True, slots=True, kw_only=True)
class LadderStep:
    """A step between two neighbours of the registry."""

    before: str
    after: str
    factor: str
    is_same_network: bool
    """Whether the two networks compute the same, so that only the code differs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Square:
    """Four networks: a base, each of two factors alone, and both factors together."""

    base: str
    first: str
    second: str
    both: str


def steps(archs: Collection[str]) -> tuple[LadderStep, ...]:
    """Return the steps between neighbours among ``archs``, in the order of the registry."""
    return tuple(
        LadderStep(
            before=variant.neighbour,
            after=variant.name,
            factor=variant.factor,
            is_same_network=variant.config is None,
        )
        for variant in VARIANTS.values()
        if variant.neighbour is not None and {variant.neighbour, variant.name} <= set(archs)
    )


def path(archs: Collection[str]) -> tuple[LadderStep, ...]:
    """Return the longest chain of steps among ``archs``; empty if there are no steps."""
    by_after = {step.after: step for step in steps(archs)}
    chains = [tuple(_chain_to(name, by_after)) for name in by_after]
    return max(chains, key=len, default=())


def squares(archs: Collection[str]) -> tuple[Square, ...]:
    """Return the pairs of factors that ``archs`` has alone and together, in the same code."""
    known = {name: VARIANTS[name].config for name in archs if name in VARIANTS}
    configs = {name: config for name, config in known.items() if config is not None}
    result = {}
    for base, first, second in product(configs, repeat=3):
        change_1, change_2 = (_changes(configs[base], configs[name]) for name in (first, second))
        if not change_1 or not change_2 or change_1.keys() & change_2.keys() or first > second:
            continue
        together = {**change_1, **change_2}
        for both, config in configs.items():
            if _changes(configs[base], config) == together and _is_base(base, configs):
                result[first, second] = Square(base=base, first=first, second=second, both=both)
    return tuple(result.values())


def _chain_to(name: str, by_after: Mapping[str, LadderStep]) -> Iterator[LadderStep]:
    if name in by_after:
        yield from _chain_to(by_after[name].before, by_after)
        yield by_after[name]


def _changes(base: GoogLeNetConfig, config: GoogLeNetConfig) -> dict[str, object]:
    """Return the fields of ``config`` that differ from ``base``, except dropouts."""
    names = (field.name for field in fields(base) if field.name not in _DROPOUTS)
    return {name: getattr(config, name) for name in names if _is_changed(base, config, name)}


def _is_changed(base: GoogLeNetConfig, config: GoogLeNetConfig, name: str) -> bool:
    return bool(getattr(base, name) != getattr(config, name))


def _is_base(base: str, configs: Mapping[str, GoogLeNetConfig]) -> bool:
    """Return whether the neighbour of ``base`` is not among ``configs``.

    A square has four corners, but only one base.
    """
    return VARIANTS[base].neighbour not in configs
