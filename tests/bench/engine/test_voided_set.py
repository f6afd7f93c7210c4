"""A run ends after a set without a valid round; its host is scripted, without any worker."""

from collections.abc import Collection
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from bench.engine import voided_set
from bench.engine.hosts.host import Events
from bench.engine.run import Run
from bench.engine.tasks import SetTask
from bench.machine.busiest import Busiest, BusyProcess
from bench.records import events
from bench.records.outcome import Outcome
from bench.records.record import Round
from bench.trust import assessment
from tests.bench import runs
from tests.bench.engine.hosts.scripted import ScriptedHost
from tests.bench.engine.running import Watcher, plan, record_of

CELLS = (runs.REFERENCE_EAGER, runs.EAGER)
BATCH = (runs.REFERENCE_BATCH, runs.BATCH)
RIVAL = Busiest(processes=(BusyProcess(pid=7, name="rival", cpus=1.0),))
EVERY = frozenset({runs.EAGER.group, runs.BATCH.group})


class BusyHost(ScriptedHost):
    """Other processes keep a CPU busy in some sets of some groups."""

    def __init__(self, sets: Collection[int], groups: Collection[str] = EVERY) -> None:
        super().__init__()
        self._sets, self._groups = sets, groups
        self.watched = 0

    def busiest(self) -> Busiest:
        self.watched += 1
        return super().busiest()

    def measure_set(self, task: SetTask) -> Events:
        is_busy = task.set_index in self._sets and task.group in self._groups
        for event in super().measure_set(task):
            is_round = isinstance(event, events.RoundEnded)
            yield (
                msgspec.structs.replace(
                    event, voided=True, foreign_cpus=1.1, reasons=("foreign_cpus",)
                )
                if is_busy and is_round
                else event
            )


class Journal(list[events.Event]):
    """An event sink in memory."""


def measure(host: BusyHost, *, sets: int = 3, **options: Any) -> tuple[Outcome, Watcher, Journal]:
    """Measure two groups until their sets are complete, or the run ends early."""
    journal, watcher = Journal(), Watcher()
    request = plan(*CELLS, *BATCH, sets=sets, rounds=None, precision=1.0)
    run = Run(request, host, watcher, begin=lambda _: journal, **options)
    return run.measure(), watcher, journal


def sets_of(host: ScriptedHost) -> list[int]:
    return [task.set_index for task in host.tasks if isinstance(task, SetTask)]


def test_a_run_ends_after_its_first_set_without_a_valid_round() -> None:
    host = BusyHost({0, 1, 2})
    outcome, watcher, journal = measure(host)
    assert sets_of(host) == [0, 0]  # both groups
    assert outcome.status == "stopped_early"
    sentence = (
        "The run ended early, because all 4 rounds of set 1 were voided: other processes use 1.1 "
        "CPUs, allowed 0.15; the busiest of them now, with the CPUs that each uses: process 7 "
        "(rival) 1.0. Wait until they end, or accept less certain figures with --foreign-cpus 1.3."
    )
    assert outcome.notes == watcher.notes == [sentence]
    assert journal[-1] == events.StoppedEarly(set_index=0, sentence=sentence)
    assert Outcome.from_events(journal).status == "stopped_early"
    assert outcome.run_record().is_empty
    assert outcome.run_record().can_be_resumed


def test_earlier_sets_are_kept_and_reported() -> None:
    host = BusyHost({1, 2})
    outcome, _, _ = measure(host)
    assert sets_of(host) == [0, 0, 1, 1]
    assert outcome.status == "stopped_early"
    record = outcome.run_record()
    assert all(each.has_figures for each in record.cells)
    (eager, _) = assessment.assess(record)
    assert eager.voided_share == 3 / 4


def test_a_run_continues_if_one_group_has_valid_rounds() -> None:
    host = BusyHost({0, 1, 2}, {runs.EAGER.group})
    outcome, _, _ = measure(host)
    assert (outcome.status, host.watched) == ("complete", 0)
    assert sets_of(host) == [0, 0, 1, 1, 2, 2]


def test_a_run_may_accept_voided_sets() -> None:
    host = BusyHost({0, 1, 2})
    outcome, _, _ = measure(host, accepts_voided_sets=True)
    assert (outcome.status, host.watched) == ("complete", 0)
    assert sets_of(host) == [0, 0, 1, 1, 2, 2]


def test_a_resumed_run_measures_the_voided_set_again() -> None:
    _, _, journal = measure(BusyHost({1}))
    quiet = BusyHost(set())
    outcome, _, later = measure(quiet, resumed=Outcome.from_events(journal))
    assert sets_of(quiet) == [1, 1, 2, 2]
    assert outcome.status == "complete"
    assert [note for note in outcome.notes if "ended early" in note] == []
    for cell in (*CELLS, *BATCH):
        visits = record_of(outcome, cell).visits
        assert [(visit.set_index, visit.voided) for visit in visits] == [
            (index, is_voided) for index in range(3) for is_voided in (True, False)
        ]
    # The journal of both parts gives the same.
    assert Outcome.from_events([*journal, *later]).records() == outcome.records()


def test_a_run_that_is_still_disturbed_when_it_is_resumed_ends_again() -> None:
    _, _, journal = measure(BusyHost({0}))
    host = BusyHost({0})
    outcome, _, _ = measure(host, resumed=Outcome.from_events(journal))
    assert sets_of(host) == [0, 0]
    assert outcome.status == "stopped_early"
    assert len([note for note in outcome.notes if "ended early" in note]) == 1


def voided(*reasons: str, foreign_cpus: float = 0.0, count: int = 2) -> list[Round]:
    first = replace(runs.rounds(runs.EAGER)[0], voided=True, reasons=reasons)
    return [replace(first, foreign_cpus=foreign_cpus)] * count


@pytest.mark.parametrize(
    ("rounds", "expected"),
    [
        (
            voided("thermal"),
            "The run ended early, because all 2 rounds of set 3 were voided: the card was too hot, "
            "or its power supply raised an alarm. Wait until the card has cooled down, or improve "
            "its cooling.",
        ),
        (
            voided("foreign_device", count=1),
            "The run ended early, because the only round of set 3 was voided: another process used "
            "the card. Wait until the other processes on the card end.",
        ),
        (
            [*voided("thermal"), *voided(foreign_cpus=6.0, count=1)],
            "The run ended early, because all 3 rounds of set 3 were voided: other processes use 6 "
            "CPUs, allowed 4; the busiest of them now, with the CPUs that each uses: process 7 "
            "(rival) 1.0; the card was too hot, or its power supply raised an alarm. Wait until "
            "they end, or accept less certain figures with --foreign-cpus 6.6. Wait until the card "
            "has cooled down, or improve its cooling.",
        ),
    ],
)
def test_the_sentence_names_each_reason_and_its_remedy(rounds: list[Round], expected: str) -> None:
    busiest = RIVAL if voided_set.is_for_load(rounds) else None
    assert voided_set.sentence(rounds, 2, 4.0, busiest) == expected


def test_the_allowance_is_above_the_rounds_and_the_busiest_processes() -> None:
    two = Busiest(processes=(*RIVAL.processes, BusyProcess(pid=8, name="other", cpus=0.5)))
    for busiest, expected in ((Busiest(processes=()), "0.9"), (RIVAL, "1.1"), (two, "1.7")):
        text = voided_set.sentence(voided(foreign_cpus=0.8), 0, 0.15, busiest)
        assert text.endswith(f"with --foreign-cpus {expected}.")


def test_a_set_without_rounds_or_with_a_valid_one_is_not_voided() -> None:
    valid = runs.rounds(runs.EAGER)[0]
    assert not voided_set.is_voided([])
    assert not voided_set.is_voided([*voided(), valid])
    assert voided_set.is_voided(voided())
