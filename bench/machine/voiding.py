"""Voiding: excluding rounds and iterations by the machine's state, never by their timing.

A round is voided completely. In a valid round, single iterations that other processes delayed are
excluded.
"""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from types import MappingProxyType

from bench.machine.card import THERMAL, Around

FOREIGN_CPUS, OVERHEATED, FOREIGN_DEVICE = "foreign_cpus", "thermal", "foreign_device"
WORDS: Mapping[str, str] = MappingProxyType(
    {
        FOREIGN_CPUS: "other processes used the CPUs",
        OVERHEATED: "the card was too hot, or its power supply raised an alarm",
        FOREIGN_DEVICE: "another process used the card",
    }
)

MOST_WAITED = 0.02  # share of an iteration's time; less than the differences between iterations


def reasons(
    foreign_cpus: float, most_foreign_cpus: float, around: Around | None, allowed: Collection[int]
) -> tuple[str, ...]:
    """Return why a round is void, as names in ``WORDS``; empty for a valid round.

    ``around``: the card's states, or None if there is no card or its state is unknown.
    ``allowed``: ids of the processes that may be on the card.
    """
    load_reasons = (FOREIGN_CPUS,) if foreign_cpus > most_foreign_cpus else ()
    return load_reasons if around is None else (*load_reasons, *card_reasons(around, allowed))


def card_reasons(around: Around, allowed: Collection[int]) -> tuple[str, ...]:
    """Return the reasons from the states of a card."""
    checks = (
        (OVERHEATED, bool(around.throttling & THERMAL)),
        (FOREIGN_DEVICE, around.foreign_use(allowed)),
    )
    return tuple(name for name, holds in checks if holds)


def load(foreign_cpus: float, most_foreign_cpus: float) -> str:
    """Return a load by other processes that is too high, as a part of a sentence."""
    used = math.ceil(foreign_cpus * 100 - 1e-6) / 100  # rounded up, so that it exceeds the limit
    return f"other processes use {used:g} CPUs, allowed {most_foreign_cpus:g}"


def with_load(names: Iterable[str], foreign_cpus: float, most_foreign_cpus: float) -> str:
    """Return reasons as words for a person, with figures if the load by others is one of them."""
    words = {**WORDS, FOREIGN_CPUS: load(foreign_cpus, most_foreign_cpus)}
    return ", ".join(words[name] for name in names)


def in_words(names: Iterable[str]) -> str:
    """Return reasons as words for a person."""
    return ", ".join(WORDS[name] for name in names)


def counting_iterations(waited: Sequence[float | None], iterations: int) -> list[int]:
    """Return the indices of the iterations that count, in order.

    ``waited``: the share of each iteration's time in which it waited for other processes; None if
    unknown. The undisturbed iterations count, or the least disturbed if they are fewer than
    ``iterations``.
    """
    shares = [share or 0.0 for share in waited]
    if count_undisturbed(shares) >= iterations:
        return [index for index, share in enumerate(shares) if share <= MOST_WAITED]
    return sorted(sorted(range(len(shares)), key=shares.__getitem__)[:iterations])


def count_undisturbed(waited: Iterable[float | None]) -> int:
    """Return the number of iterations that were not disturbed, as far as is known."""
    return sum((share or 0.0) <= MOST_WAITED for share in waited)
