"""Runs beside a card that is made up: it is called ``cpu``, where the workers really are."""

from collections.abc import Callable
from dataclasses import replace
from itertools import count
from typing import Any

import pytest

from bench import energy
from bench.engine.launch import Launcher
from bench.machine.card import Card, CardProcess, CardReading
from bench.machine.cards import Cards
from bench.names import RequestError
from bench.records import events
from bench.records.outcome import Outcome
from bench.records.record import Round
from tests.bench.engine.running import Watcher, cell, plan, record_of, run

FACTS = {"uuid": "GPU-1", "mig": False, "power_limit_w": 400.0}
STRANGER = CardProcess(pid=4242, name="python3", used_bytes=2**30)


class Scripted:
    """A card whose every reading is made of its number, from 0: two around each round."""

    def __init__(self, reading: Callable[[int], CardReading]) -> None:
        self._reading = reading
        self._numbers = count()

    def read(self) -> CardReading:
        return self._reading(next(self._numbers))

    def energy_j(self) -> float | None:
        return self.read().energy_j


def cards(reading: Callable[[int], CardReading], allowed: frozenset[int] = frozenset()) -> Cards:
    card = Card(meter=Scripted(reading), facts=FACTS, allowed=allowed)
    return Cards(known={"cpu": card})


def rounds_of(outcome: Outcome) -> list[Round]:
    return [found for rounds in outcome.rounds.values() for found in rounds]


def test_every_round_has_the_card_before_and_after_it(fork_server: Launcher) -> None:
    found = cell("works")
    outcome = run(
        plan(found), fork_server, cards=cards(lambda number: CardReading(temperature_c=40 + number))
    ).measure()
    temperatures = [
        (one.card.before.temperature_c, one.card.after.temperature_c)
        for one in rounds_of(outcome)
        if one.card
    ]
    assert temperatures == [(40, 41), (42, 43), (44, 45)]
    assert outcome.environment["cards"] == {"cpu": FACTS}


def test_a_round_on_a_hot_card_is_voided_whole_and_measured_again(fork_server: Launcher) -> None:
    def hot_in_the_second(number: int) -> CardReading:
        return CardReading(reasons=("sw_thermal",) if number == 3 else ("power_cap",))

    found, watcher = cell("works"), Watcher()
    outcome = run(plan(found), fork_server, watcher, cards=cards(hot_in_the_second)).measure()
    assert [one.reasons for one in rounds_of(outcome)] == [(), ("thermal",), (), ()]
    assert [one.voided for one in rounds_of(outcome)] == [False, True, False, False]
    for one in (found, replace(found, control=True)):
        assert [visit.voided for visit in record_of(outcome, one).visits] == [0, 1, 0, 0]
    assert [(steps, "too hot" in why) for steps, why in watcher.extended] == [(2, True)]


def test_somebody_who_comes_to_the_card_voids_the_round(fork_server: Launcher) -> None:
    def comes_in_the_second(number: int) -> CardReading:
        return CardReading(own_processes=2, others=(STRANGER,) if number == 3 else ())

    outcome = run(plan(cell("works")), fork_server, cards=cards(comes_in_the_second)).measure()
    assert [one.reasons for one in rounds_of(outcome)] == [(), ("foreign_device",), (), ()]


def test_who_was_allowed_voids_nothing_and_is_told(fork_server: Launcher) -> None:
    stays = cards(
        lambda _: CardReading(own_processes=2, others=(STRANGER,)),
        allowed=frozenset({STRANGER.pid}),
    )
    outcome = run(
        plan(cell("works"), allow_shared=True),
        fork_server,
        cards=replace(stays, shared={"cpu": (str(STRANGER),)}),
    ).measure()
    assert not any(one.voided for one in rounds_of(outcome))
    assert outcome.run_record().shared == {"cpu": ("process 4242 (python3) with 1,024 MiB",)}


def test_another_power_limit_is_not_resumed(fork_server: Launcher) -> None:
    found = cell("works")
    begun = run(plan(found), fork_server, cards=cards(lambda _: CardReading())).measure()
    changed = Card(meter=Scripted(lambda _: CardReading()), facts={**FACTS, "power_limit_w": 300.0})
    with pytest.raises(RequestError, match=r"cards is .*300.* where the run was begun with .*400"):
        run(plan(found), fork_server, resumed=begun, cards=Cards(known={"cpu": changed})).measure()


def test_energy_is_measured_once_a_set_of_each_worker(
    fork_server: Launcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(energy, "WINDOW_S", 0.05)
    monkeypatch.setattr(energy, "LEAD_IN_S", 0.01)
    found, watcher = cell("works", batch_size=2), Watcher()
    outcome = run(
        plan(found, sets=2, energy=True),
        fork_server,
        watcher,
        cards=cards(lambda number: CardReading(energy_j=100.0 * number)),
    ).measure()
    for one in (found, replace(found, control=True)):
        setups = record_of(outcome, one).setups
        assert [setup["energy_set"] for setup in setups] == [0, 1]
        for setup in setups:
            # Of two numbers in a row: nothing else was read of the card in the window.
            assert setup["energy_j"] == 100.0
            assert setup["energy_wall_s"] >= 0.05
            assert setup["energy_images"] % 2 == 0
            assert setup["energy_images"] > 0
    assert watcher.phases.count(("set 1: measuring energy", 2)) == 1
    assert outcome.phases_s["measuring energy"] > 4 * (0.05 + 0.01)


@pytest.mark.parametrize("changed", [{"is_shared": True}, {"facts": {"mig": True}}])
def test_energy_that_others_take_too_is_not_measured(
    fork_server: Launcher, changed: dict[str, Any]
) -> None:
    found = cell("works")
    card = cards(lambda number: CardReading(energy_j=100.0 * number)).known["cpu"]
    outcome = run(
        plan(found, rounds=1, energy=True),
        fork_server,
        cards=Cards(known={"cpu": replace(card, **changed)}),
    ).measure()
    assert "energy_j" not in record_of(outcome, found).setups[0]


def test_energy_of_a_card_that_nobody_knows_is_not_measured(fork_server: Launcher) -> None:
    found = cell("works")
    unknown = Cards(unknown={"cpu": "nvidia-ml-py is not installed"})
    outcome = run(plan(found, energy=True), fork_server, cards=unknown).measure()
    assert "energy_j" not in record_of(outcome, found).setups[0]
    assert [one.card for one in rounds_of(outcome)] == [None] * 3
    assert outcome.environment["cards"] == {"cpu": {"unknown": "nvidia-ml-py is not installed"}}


def test_a_journal_tells_of_the_card(fork_server: Launcher) -> None:
    told: list[events.Event] = []

    class Keeps:
        def append(self, event: events.Event) -> None:
            told.append(event)

    whole = run(
        plan(cell("works")),
        fork_server,
        begin=lambda _: Keeps(),
        cards=replace(
            cards(lambda n: CardReading(power_w=float(n))), shared={"cpu": ("process 1",)}
        ),
    ).measure()
    again = Outcome.from_events(told)
    assert rounds_of(again) == rounds_of(whole)
    assert again.run_record().shared == {"cpu": ("process 1",)}
