from dataclasses import replace

import pytest

from bench.machine.card import FOREIGN_BYTES, Around, CardProcess, CardReading, other_users
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
    ids=["idle", "seen after", "seen before", "counted", "counted at one end", "unknown"],
)
def test_throttling_is_counted_in_between_or_seen_at_an_end(
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
    ids=["counted", "nothing", "counter reset", "unknown"],
)
def test_energy_is_the_difference_of_the_counter(
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
    ids=["none", "came", "went", "stayed", "allowed", "another came", "unknown"],
)
def test_processes_that_are_not_allowed_are_foreign(
    before: CardReading, after: CardReading, allowed: tuple[int, ...], foreign: bool
) -> None:
    assert Around(before=before, after=after).foreign_use(allowed) is foreign


def test_only_new_processes_are_foreign_if_ids_are_of_another_namespace() -> None:
    own = tuple(CardProcess(pid=pid, used_bytes=450 * MIB) for pid in (91, 92))
    before = replace(IDLE, own_processes=0, own_bytes=0, others=own)
    assert not Around(before=before, after=before).foreign_use()
    after = replace(before, others=(*own, OTHER))
    assert Around(before=before, after=after).foreign_use()


@pytest.mark.parametrize(
    ("own_grows", "unlisted_grows", "foreign"),
    [(0, 0, False), (10**9, 0, False), (0, FOREIGN_BYTES, False), (0, FOREIGN_BYTES + 1, True)],
)
def test_growth_of_unlisted_memory_is_foreign(
    own_grows: int, unlisted_grows: int, foreign: bool
) -> None:
    after = replace(
        IDLE,
        used_bytes=900 * MIB + own_grows + unlisted_grows,
        own_bytes=900 * MIB + own_grows,
    )
    assert Around(before=IDLE, after=after).foreign_use() is foreign


def test_all_memory_is_unlisted_if_a_share_is_unknown() -> None:
    assert replace(IDLE, own_bytes=None).unlisted_bytes == IDLE.used_bytes
    assert replace(IDLE, others=(OTHER,)).unlisted_bytes == IDLE.used_bytes
    assert replace(IDLE, used_bytes=None).unlisted_bytes is None
    assert IDLE.unlisted_bytes == 0


def test_other_users_are_described_with_known_facts() -> None:
    empty = CardReading(used_bytes=2 * MIB, others=())
    assert other_users(empty) == ()
    assert other_users(CardReading()) == ()
    both = CardReading(used_bytes=2000 * MIB, others=(STRANGER, OTHER))
    assert other_users(both) == ("process 7 (python3) with 300 MiB", "process 8")
    hidden = CardReading(used_bytes=2300 * MIB, others=(STRANGER,))
    assert other_users(hidden) == (
        "process 7 (python3) with 300 MiB",
        "2,000 MiB of processes that the driver does not list",
    )
