from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

import pytest

from bench.cells.cell import Cell
from bench.launch.launchers import Launcher
from bench.machine.memory_budget import MemoryBudget
from bench.records import events
from bench.records.outcome import Outcome
from tests.bench.engine.running import Watcher, cell, plan, record_of, run, visited


def test_the_memory_limit_bounds_the_number_of_live_workers(fork_server: Launcher) -> None:
    cells = [cell(name) for name in ("works", "prints", "drops_out", "slow")]
    watcher = Watcher()
    # Less than any two workers hold: each wave is the reference, its control and one more cell.
    limited = plan(*cells, sets=2, rounds=2, memory_bytes=1)
    outcome = run(limited, fork_server, watcher).measure()
    assert [wave.own for wave in outcome.waves[cells[0].group]] == [(own,) for own in cells[1:]]
    for own in cells[1:]:
        assert visited(outcome, own) == [(s, r) for s in range(2) for r in range(2)]
    assert len(visited(outcome, cells[0])) == 3 * 2 * 2
    assert not outcome.failures
    assert any("measured in 3 waves" in note for note in watcher.notes)
    assert outcome.notes == watcher.notes
    assert sum("is more than the 0 MiB of --memory" in note for note in outcome.notes) == 1


def test_a_resumed_run_does_not_repeat_the_note(fork_server: Launcher) -> None:
    request, journal = plan(cell("works"), sets=2, rounds=1, memory_bytes=1), list[events.Event]()
    run(request, fork_server, begin=lambda _: journal).measure()
    (_, second) = (i for i, event in enumerate(journal) if isinstance(event, events.WaveBegan))
    interrupted = Outcome.from_events(journal[: second + 1])
    outcome = run(request, fork_server, resumed=interrupted).measure()
    assert sum("more than the 0 MiB of --memory" in note for note in outcome.notes) == 1


def test_sufficient_memory_adds_no_note(fork_server: Launcher) -> None:
    limited = plan(cell("works"), cell("prints"), sets=1, rounds=1, memory_bytes=1 << 40)
    assert run(limited, fork_server).measure().notes == []


def test_running_out_of_memory_splits_the_wave(fork_server: Launcher) -> None:
    cells = [cell("works"), cell("needs_much"), cell("needs_much_too")]
    watcher = Watcher()
    outcome = run(plan(*cells, sets=2, rounds=2), fork_server, watcher).measure()
    assert not outcome.failures
    waves = [wave.own for wave in outcome.waves[cells[0].group]]
    assert len(waves) == 2
    assert set(waves) == {(cells[1],), (cells[2],)}  # the order depends on the warm-up
    for own in cells[1:]:
        assert visited(outcome, own) == [(s, r) for s in range(2) for r in range(2)]
    assert any("ran out" in note for note in outcome.notes)


def test_a_cell_that_stays_in_a_split_wave_is_measured_again(
    fork_server: Launcher, tmp_path: Path
) -> None:
    greedy = [cell(f"runs_out_once?marker='{tmp_path / name}'") for name in ("first", "second")]
    outcome = run(plan(cell("works"), *greedy, rounds=2), fork_server).measure()
    assert not outcome.failures
    assert [wave.own for wave in outcome.waves[greedy[0].group]] == [(own,) for own in greedy]
    for own in greedy:
        assert visited(outcome, own) == [(0, 0), (0, 1)]


def test_a_wave_that_no_longer_fits_into_memory_is_split_and_keeps_its_anchors(
    fork_server: Launcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    cells = [cell(name) for name in ("works", "prints", "drops_out", "slow", "needs_much")]
    watcher = Watcher()

    def holds_another(_budget: MemoryBudget, _group: str, *, live: int, starting: int) -> bool:
        """Return whether another worker fits: from the second set on, only three do."""
        del starting
        return live < 3 or watcher.phases[-1][0].startswith("set 1")

    monkeypatch.setattr(MemoryBudget, "holds_another", holds_another)
    outcome = run(plan(*cells, sets=3, rounds=2), fork_server, watcher).measure()
    assert [wave.own for wave in outcome.waves[cells[0].group]] == [(own,) for own in cells[1:]]
    records = [record_of(outcome, member) for member in (*cells, replace(cells[0], control=True))]
    reference, *cells_of_waves, control = (
        {visit.key for visit in record.visits} for record in records
    )
    assert control == reference
    for other in cells_of_waves:
        assert other <= reference
        assert {(s, r) for s, _, r in other} == {(s, r) for s in range(3) for r in range(2)}


class OneSetOfBothSides:
    """Measures one set of every cell and its base, as a gate does."""

    def cells_to_measure(self, outcome: Outcome, group: str, set_index: int) -> Collection[Cell]:
        return outcome.waves[group][0].cells if set_index == 0 else ()


def test_a_cell_is_measured_beside_its_base_or_not_at_all(
    fork_server: Launcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    reference, first, second = cells = [cell(name) for name in ("works", "prints", "drops_out")]
    # The reference, its base, the control, two cells and one of their bases.
    monkeypatch.setattr(MemoryBudget, "holds_another", lambda *_, live, **__: live < 6)
    outcome = run(
        plan(*cells, rounds=2, against_base=True), fork_server, rule=OneSetOfBothSides()
    ).measure()
    assert [wave.own for wave in outcome.waves[reference.group]] == [(first,), (second,)]
    keys = {
        record.cell: [(visit.wave_index, visit.round_index) for visit in record.visits]
        for record in (*outcome.records(), *outcome.bases())
    }
    assert keys[first] == keys[replace(first, base=True)] == [(0, 0), (0, 1)]
    assert keys[second] == keys[replace(second, base=True)] == [(1, 0), (1, 1)]


@pytest.mark.gpu
def test_running_out_of_gpu_memory_fails_the_cell_and_names_the_sizes(
    fork_server: Launcher,
) -> None:
    greedy = replace(cell("takes_gibibytes_on_its_device", batch_size=4096), device="cuda")
    outcome = run(plan(greedy, rounds=1), fork_server).measure()
    failure = outcome.failures[greedy.id]
    assert failure.kind == "out_of_memory"
    assert "tried to allocate 4,194,304 MiB" in failure.message
