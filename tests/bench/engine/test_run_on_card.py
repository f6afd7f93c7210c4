"""Tests of runs with a fake card: it is called ``cpu``, and the workers run on the CPU."""

from collections.abc import Callable
from dataclasses import replace
from itertools import count
from typing import Any

import msgspec
import pytest

from bench.engine.local import energy
from bench.errors import RequestError
from bench.launch.launchers import Launcher
from bench.machine.card import Card, CardProcess, CardReading
from bench.machine.environment import CardFacts
from bench.machine.run_cards import Cards
from bench.records import events
from bench.records.outcome import Outcome
from bench.records.record import Round
from tests.bench.engine.running import Watcher, cell, plan, record_of, run

FACTS = CardFacts(uuid="GPU-1", mig=False, power_limit_w=400.0)
STRANGER = CardProcess(pid=4242, name="python3", used_bytes=2**30)


class Scripted:
    """A card meter whose readings depend on their index, from 0; each round takes two readings."""

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
    return list(outcome.rounds)


def test_every_round_has_card_readings_before_and_after_it(fork_server: Launcher) -> None:
    target = cell("works")
    outcome = run(
        plan(target),
        fork_server,
        cards=cards(lambda number: CardReading(temperature_c=40 + number)),
    ).measure()
    temperatures = [
        (item.card.before.temperature_c, item.card.after.temperature_c)
        for item in rounds_of(outcome)
        if item.card
    ]
    assert temperatures == [(40, 41), (42, 43), (44, 45)]
    assert outcome.environment.cards == {"cpu": FACTS}


def test_a_round_on_a_hot_card_is_voided_and_measured_again(fork_server: Launcher) -> None:
    def hot_in_the_second(number: int) -> CardReading:
        return CardReading(reasons=("sw_thermal",) if number == 3 else ("power_cap",))

    target, watcher = cell("works"), Watcher()
    outcome = run(plan(target), fork_server, watcher, cards=cards(hot_in_the_second)).measure()
    assert [item.reasons for item in rounds_of(outcome)] == [(), ("thermal",), (), ()]
    assert [item.voided for item in rounds_of(outcome)] == [False, True, False, False]
    for member in (target, replace(target, control=True)):
        assert [visit.voided for visit in record_of(outcome, member).visits] == [0, 1, 0, 0]
    judged = [(voided, rounds, "too hot" in why) for voided, rounds, why in watcher.judgements]
    assert judged == [(0, 1, False), (1, 2, True), (1, 3, False), (1, 4, False)]
    assert (watcher.phases[-1][1], watcher.completed[-1]) == (3, 3)


def test_a_foreign_process_on_the_card_voids_the_round(fork_server: Launcher) -> None:
    def comes_in_the_second(number: int) -> CardReading:
        return CardReading(own_processes=2, others=(STRANGER,) if number == 3 else ())

    outcome = run(plan(cell("works")), fork_server, cards=cards(comes_in_the_second)).measure()
    assert [item.reasons for item in rounds_of(outcome)] == [(), ("foreign_device",), (), ()]


def test_an_allowed_process_voids_no_round_and_is_recorded(fork_server: Launcher) -> None:
    stays = cards(
        lambda _: CardReading(own_processes=2, others=(STRANGER,)),
        allowed=frozenset({STRANGER.pid}),
    )
    outcome = run(
        plan(cell("works"), allow_shared=True),
        fork_server,
        cards=replace(stays, shared={"cpu": (str(STRANGER),)}),
    ).measure()
    assert not any(item.voided for item in rounds_of(outcome))
    assert outcome.run_record().shared == {"cpu": ("process 4242 (python3) with 1,024 MiB",)}


def test_resuming_with_another_power_limit_is_refused(fork_server: Launcher) -> None:
    target = cell("works")
    begun = run(plan(target), fork_server, cards=cards(lambda _: CardReading())).measure()
    facts = msgspec.structs.replace(FACTS, power_limit_w=300.0)
    changed = Card(meter=Scripted(lambda _: CardReading()), facts=facts)
    with pytest.raises(RequestError, match=r"cards is .*300.*, but the run began with .*400"):
        run(plan(target), fork_server, resumed=begun, cards=Cards(known={"cpu": changed})).measure()


def test_energy_is_measured_once_per_set_for_each_worker(
    fork_server: Launcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(energy, "WINDOW_S", 0.05)
    monkeypatch.setattr(energy, "LEAD_IN_S", 0.01)
    target, watcher = cell("works", batch_size=2), Watcher()
    outcome = run(
        plan(target, sets=2, energy=True),
        fork_server,
        watcher,
        cards=cards(lambda number: CardReading(energy_j=100.0 * number)),
    ).measure()
    for member in (target, replace(target, control=True)):
        setups = record_of(outcome, member).setups
        assert [setup.energy_set for setup in setups] == [0, 1]
        for setup in setups:
            # Two consecutive readings: nothing else was read from the card in the window.
            assert setup.energy_j == 100.0
            assert (setup.energy_wall_s or 0) >= 0.05
            assert (setup.energy_images or 1) % 2 == 0
            assert (setup.energy_images or 0) > 0
    assert watcher.phases.count(("set 1: measuring energy", 2)) == 1
    assert outcome.phases_s["measuring energy"] > 4 * (0.05 + 0.01)


@pytest.mark.parametrize("changed", [{"is_shared": True}, {"facts": CardFacts(mig=True)}])
def test_energy_is_not_measured_if_the_card_is_shared(
    fork_server: Launcher, changed: dict[str, Any]
) -> None:
    target = cell("works")
    card = cards(lambda number: CardReading(energy_j=100.0 * number)).known["cpu"]
    outcome = run(
        plan(target, rounds=1, energy=True),
        fork_server,
        cards=Cards(known={"cpu": replace(card, **changed)}),
    ).measure()
    assert record_of(outcome, target).setups[0].energy_j is None


def test_energy_is_not_measured_if_the_state_of_the_card_is_unknown(fork_server: Launcher) -> None:
    target = cell("works")
    unknown = Cards(unknown={"cpu": "nvidia-ml-py is not installed"})
    outcome = run(plan(target, energy=True), fork_server, cards=unknown).measure()
    assert record_of(outcome, target).setups[0].energy_j is None
    assert [item.card for item in rounds_of(outcome)] == [None] * 3
    assert outcome.environment.cards == {"cpu": CardFacts(unknown="nvidia-ml-py is not installed")}


def test_a_journal_contains_the_card_readings(fork_server: Launcher) -> None:
    journal: list[events.Event] = []

    class Recorder:
        def append(self, event: events.Event) -> None:
            journal.append(event)

    outcome = run(
        plan(cell("works")),
        fork_server,
        begin=lambda _: Recorder(),
        cards=replace(
            cards(lambda n: CardReading(power_w=float(n))), shared={"cpu": ("process 1",)}
        ),
    ).measure()
    again = Outcome.from_events(journal)
    assert rounds_of(again) == rounds_of(outcome)
    assert again.run_record().shared == {"cpu": ("process 1",)}
