from dataclasses import replace

import pytest

from bench.machine.card import FOREIGN_BYTES, Around, CardProcess, CardReading, strangers
from bench.units import MIB

IDLE = CardReading(
    reasons=("idle",),
    throttled_s={"power_cap": 5.0, "thermal": 1.0},
    energy_j=1000.0,
    used_bytes=900 * MIB,
    own_processes=2,
    own_bytes=900 * MIB,
    others=(),
)
STRANGER = CardProcess(pid=7, name="python3", used_bytes=300 * MIB)
OTHER = CardProcess(pid=8)


def with_others(*others: CardProcess) -> CardReading:
    used = 900 * MIB + sum(other.used_bytes or 0 for other in others)
    return replace(IDLE, others=others, used_bytes=used)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({}, {}, set()),
        ({}, {"reasons": ("sw_thermal", "idle")}, {"sw_thermal"}),
        ({"reasons": ("power_cap",)}, {}, {"power_cap"}),
        ({}, {"throttled_s": {"power_cap": 5.0, "thermal": 1.001}}, {"thermal"}),
        ({}, {"throttled_s": {"power_cap": 5.5, "new": 9.0}}, {"power_cap"}),
        ({"throttled_s": None, "reasons": None}, {"reasons": None}, set()),
    ],
    ids=["idle", "seen after", "seen before", "counted", "counted at one end", "not told"],
)
def test_throttling_is_what_was_counted_or_seen(
    before: dict[str, object], after: dict[str, object], expected: set[str]
) -> None:
    around = Around(
        before=replace(IDLE, **before),  # type: ignore[arg-type]
        after=replace(IDLE, **after),  # type: ignore[arg-type]
    )
    assert around.throttling == expected


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [(1000.0, 1250.5, 250.5), (1000.0, 1000.0, 0.0), (1000.0, 3.0, None), (None, 3.0, None)],
    ids=["counted", "nothing", "counted anew", "not told"],
)
def test_energy_is_the_counter_s_difference(
    before: float | None, after: float, expected: float | None
) -> None:
    around = Around(before=replace(IDLE, energy_j=before), after=replace(IDLE, energy_j=after))
    assert around.energy_j == expected


@pytest.mark.parametrize(
    ("before", "after", "allowed", "foreign"),
    [
        (IDLE, IDLE, (), False),
        (IDLE, with_others(STRANGER), (), True),
        (with_others(STRANGER), IDLE, (), True),
        (with_others(STRANGER), with_others(STRANGER), (), True),
        (with_others(STRANGER), with_others(STRANGER), (7,), False),
        (with_others(STRANGER), with_others(STRANGER, OTHER), (7,), True),
        (replace(IDLE, others=None), replace(IDLE, others=None), (), False),
    ],
    ids=["none", "came", "went", "stayed", "was allowed", "another came", "not told"],
)
def test_whoever_is_on_the_card_and_was_not_allowed_is_foreign(
    before: CardReading, after: CardReading, allowed: tuple[int, ...], foreign: bool
) -> None:
    assert Around(before=before, after=after).foreign_use(allowed) is foreign


def test_in_a_container_that_numbers_processes_anew_only_those_that_come_are_foreign() -> None:
    ours = tuple(CardProcess(pid=pid, used_bytes=450 * MIB) for pid in (91, 92))
    before = replace(IDLE, own_processes=0, own_bytes=0, others=ours)
    assert not Around(before=before, after=before).foreign_use()
    after = replace(before, others=(*ours, OTHER))
    assert Around(before=before, after=after).foreign_use()


@pytest.mark.parametrize(
    ("own_grows", "unlisted_grows", "foreign"),
    [(0, 0, False), (10**9, 0, False), (0, FOREIGN_BYTES, False), (0, FOREIGN_BYTES + 1, True)],
)
def test_memory_that_nobody_listed_took_is_foreign(
    own_grows: int, unlisted_grows: int, foreign: bool
) -> None:
    after = replace(
        IDLE,
        used_bytes=900 * MIB + own_grows + unlisted_grows,
        own_bytes=900 * MIB + own_grows,
    )
    assert Around(before=IDLE, after=after).foreign_use() is foreign


def test_where_not_everybody_s_memory_is_told_all_of_it_is_compared() -> None:
    assert replace(IDLE, own_bytes=None).unlisted_bytes == IDLE.used_bytes
    assert replace(IDLE, others=(OTHER,)).unlisted_bytes == IDLE.used_bytes
    assert replace(IDLE, used_bytes=None).unlisted_bytes is None
    assert IDLE.unlisted_bytes == 0


def test_strangers_are_named_as_far_as_they_are_known() -> None:
    empty = CardReading(used_bytes=2 * MIB, others=())
    assert strangers(empty) == ()
    assert strangers(CardReading()) == ()
    both = CardReading(used_bytes=2000 * MIB, others=(STRANGER, OTHER))
    assert strangers(both) == ("process 7 (python3) with 300 MiB", "process 8")
    hidden = CardReading(used_bytes=2300 * MIB, others=(STRANGER,))
    assert strangers(hidden) == (
        "process 7 (python3) with 300 MiB",
        "2,000 MiB of nobody that the driver lists",
    )
