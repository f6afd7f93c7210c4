from dataclasses import replace

import pytest

from bench.machine import voiding
from bench.machine.card import REASONS, Around, CardProcess, CardReading

COOL = CardReading(
    reasons=(), throttled_s=dict.fromkeys(("power_cap", "thermal", "power_brake"), 0.0)
)
QUIET, BUSY, BOUND = 0.02, 0.6, 0.15
VOID = {"sw_thermal", "hw_thermal", "power_brake"}


def reasons(
    foreign_cpus: float, after: CardReading, allowed: tuple[int, ...] = ()
) -> tuple[str, ...]:
    return voiding.reasons(foreign_cpus, BOUND, Around(before=COOL, after=after), allowed)


def test_without_a_card_only_foreign_load_voids() -> None:
    assert voiding.reasons(QUIET, BOUND, None, ()) == ()
    assert voiding.reasons(BOUND, BOUND, None, ()) == ()
    assert voiding.reasons(BUSY, BOUND, None, ()) == ("foreign_cpus",)


@pytest.mark.parametrize("name", REASONS.values())
def test_heat_and_the_power_brake_void_but_a_power_cap_does_not(name: str) -> None:
    expected = ("thermal",) if name in VOID else ()
    assert reasons(QUIET, replace(COOL, reasons=(name,))) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [("power_cap", ()), ("thermal", ("thermal",)), ("power_brake", ("thermal",))],
)
def test_changed_counter_voids(name: str, expected: tuple[str, ...]) -> None:
    moved = replace(COOL, throttled_s={**(COOL.throttled_s or {}), name: 1e-6})
    assert reasons(QUIET, moved) == expected


def test_other_process_on_the_card_voids_unless_allowed() -> None:
    shared = replace(COOL, others=(CardProcess(pid=7),))
    assert reasons(QUIET, shared) == ("foreign_device",)
    assert reasons(QUIET, shared, allowed=(7,)) == ()


def test_every_reason_is_returned_and_has_words() -> None:
    all_at_once = replace(COOL, reasons=("hw_thermal",), others=(CardProcess(pid=7),))
    names = reasons(BUSY, all_at_once)
    assert names == tuple(voiding.WORDS)
    assert voiding.in_words(names).count(", ") >= len(names) - 1


def test_card_with_unknown_state_does_not_void() -> None:
    assert (
        voiding.reasons(QUIET, BOUND, Around(before=CardReading(), after=CardReading()), ()) == ()
    )
