"""Voiding: what does not count, by what the machine did meanwhile and never by how long it took.

A round is voided whole; of one that is not, single iterations that others held up.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from types import MappingProxyType

from bench.machine.card import THERMAL, Around

FOREIGN_CPUS, OVERHEATED, FOREIGN_DEVICE = "foreign_cpus", "thermal", "foreign_device"
WORDS: Mapping[str, str] = MappingProxyType(
    {
        FOREIGN_CPUS: "other processes kept the machine busy",
        OVERHEATED: "the card was slowed down, too hot or by the power supply's alarm",
        FOREIGN_DEVICE: "somebody else used the card",
    }
)

MOST_WAITED = 0.02  # of an iteration's time; so little is less than what iterations differ by


def reasons(
    foreign_cpus: float, most_foreign_cpus: float, around: Around | None, allowed: Collection[int]
) -> tuple[str, ...]:
    """Why a round is void, names of ``WORDS``; none of one that counts.

    ``around`` is the card's state where there is one that is known, ``allowed`` the processes that
    may be on it.
    """
    found = (FOREIGN_CPUS,) if foreign_cpus > most_foreign_cpus else ()
    return found if around is None else (*found, *of_card(around, allowed))


def of_card(around: Around, allowed: Collection[int]) -> tuple[str, ...]:
    """The reasons that a card gives."""
    found = (
        (OVERHEATED, bool(around.throttling & THERMAL)),
        (FOREIGN_DEVICE, around.foreign_use(allowed)),
    )
    return tuple(name for name, holds in found if holds)


def in_words(names: Iterable[str]) -> str:
    """Reasons as a person reads them."""
    return ", ".join(WORDS[name] for name in names)


def counting(waited: Sequence[float | None], iterations: int) -> list[int]:
    """Which iterations count, in their order, by the share of its time that each waited for others.

    Those that nobody disturbed, as far as is known; where they are too few, those disturbed least.
    """
    shares = [share or 0.0 for share in waited]
    if undisturbed(shares) >= iterations:
        return [index for index, share in enumerate(shares) if share <= MOST_WAITED]
    return sorted(sorted(range(len(shares)), key=shares.__getitem__)[:iterations])


def undisturbed(waited: Iterable[float | None]) -> int:
    """How many iterations nobody disturbed, as far as is known."""
    return sum((share or 0.0) <= MOST_WAITED for share in waited)
