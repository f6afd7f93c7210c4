"""Operators are profiled after the rounds of the first set, and change no figure."""

from bench.launch.launchers import Launcher
from bench.records import events
from bench.records.outcome import Outcome
from bench.records.reported import OperatorProfile
from tests.bench.engine.running import Watcher, cell, plan, record_of, run, visited


def profiles(outcome: Outcome, factory: str) -> list[OperatorProfile | None]:
    """Return the profile of each set of a cell."""
    return [setup.operators for setup in record_of(outcome, cell(factory)).setups]


def test_each_cell_is_profiled_in_the_first_set_only(fork_server: Launcher) -> None:
    watcher, journal = Watcher(), list[events.Event]()
    request = plan(cell("works"), cell("prints"), sets=2, rounds=1, operators=True)
    outcome = run(request, fork_server, watcher, begin=lambda _: journal).measure()
    for factory in ("works", "prints"):
        first, second = profiles(outcome, factory)
        assert first is not None
        assert "aten::addmm" in {operator.kind for operator in first.operators}
        assert second is None
    (control,) = outcome.controls()
    assert all(setup.operators is None for setup in control.setups)
    assert ("set 1: profiling operators", 2) in watcher.phases
    assert outcome.phases_s["profiling operators"] > 0
    # A resumed run keeps the profiles, and does not profile again.
    (_, second_wave) = (i for i, each in enumerate(journal) if isinstance(each, events.WaveBegan))
    interrupted = Outcome.from_events(journal[: second_wave + 1])
    resumed = run(request, fork_server, resumed=interrupted).measure()
    assert profiles(resumed, "works") == profiles(outcome, "works")


def test_without_the_option_nothing_is_profiled(fork_server: Launcher) -> None:
    outcome = run(plan(cell("works"), rounds=1), fork_server).measure()
    assert profiles(outcome, "works") == [None]
    assert "profiling operators" not in outcome.phases_s


def test_a_worker_that_dies_under_the_profiler_keeps_its_figures(fork_server: Launcher) -> None:
    dying = cell("dies_under_a_profiler")
    outcome = run(plan(cell("works"), dying, rounds=2, operators=True), fork_server).measure()
    assert not outcome.failures
    assert visited(outcome, dying) == [(0, 0), (0, 1)]
    (profile,) = profiles(outcome, "dies_under_a_profiler")
    assert profile is not None
    assert profile.error is not None
    assert profile.error.startswith("its worker failed: ")
    assert profiles(outcome, "works") != [None]
