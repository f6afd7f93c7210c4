from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from bench.errors import RequestError
from bench.records import events, journal, recovery
from bench.records.events import Event
from bench.records.outcome import Outcome
from bench.records.record import Failure
from tests.bench import runs
from tests.bench.records.test_journal import BEGAN, GROUP, write
from tests.bench.records.test_outcome import ended, visited

NAME = runs.EAGER.id
SOUND: tuple[Event, ...] = (
    BEGAN,
    events.WaveBegan(GROUP, 0, 0),
    visited(NAME, 0, 0, 1.0),
    ended(GROUP, 0, 0),
    visited(NAME, 0, 1, 2.0),
    ended(GROUP, 0, 1),
    events.WaveEnded(GROUP, 0, 0),
)


def samples(outcome: Outcome) -> Sequence[float]:
    return next(each for each in outcome.records() if each.cell.id == NAME).host_s


def damaged_at(path: Path, line: int) -> Path:
    lines = path.read_bytes().split(b"\n")
    lines[line - 1] = lines[line - 1].replace(b"1", b"2", 1)
    path.write_bytes(b"\n".join(lines))
    return path


def test_an_intact_journal_is_recovered_completely(tmp_path: Path) -> None:
    recovered = recovery.recover(write(tmp_path / journal.FILE, *SOUND))
    assert recovered.damage is None
    assert samples(recovered.outcome) == (1.0, 2.0)
    assert recovered.outcome.status == "interrupted"


def test_what_stands_before_damage_is_kept_and_noted(tmp_path: Path) -> None:
    path = damaged_at(write(tmp_path / journal.FILE, *SOUND), line=5)
    run = recovery.with_note(path).run_record()
    assert run.cells[1].host_s == (1.0,)
    (note,) = run.notes
    assert f"{path} is damaged: line 5: its checksum does not match" in note


def test_a_run_continues_before_the_damage_and_keeps_a_copy(tmp_path: Path) -> None:
    path = damaged_at(write(tmp_path / journal.FILE, *SOUND), line=5)
    damaged, notes = path.read_bytes(), list[str]()
    outcome = recovery.resumable(path, notes.append)
    assert samples(outcome) == (1.0,)
    assert tuple(journal.read(path)) == SOUND[:4]
    (copy,) = set(tmp_path.iterdir()) - {path}
    assert copy.read_bytes() == damaged
    assert [str(copy) in note for note in notes] == [True]
    assert recovery.resumable(path, notes.append).status == "interrupted"
    assert len(notes) == 1


def test_a_damaged_first_line_is_refused(tmp_path: Path) -> None:
    path = damaged_at(write(tmp_path / journal.FILE, *SOUND), line=1)
    with pytest.raises(RequestError, match="line 1: its checksum does not match"):
        recovery.recover(path)


@pytest.mark.parametrize(
    "event",
    [
        visited("googlenet/eager/fp32/b999/infer/cpu", 0, 0, 1.0),
        msgspec.structs.replace(visited(NAME, 0, 0, 1.0), wave_index=7),
        msgspec.structs.replace(visited(NAME, 0, 0, 1.0), wave_index=-1),
        ended("another group", 0, 0),
        events.WaveBegan(GROUP, 0, 1),
        events.WaveEnded(GROUP, 0, 9),
        events.WaveEnded("another group", 0, 0),
        events.Allotted(group="another group", rounds=3),
        events.Compiled(cell="nothing", seconds=1.0),
        events.Failed(
            cell="nothing",
            failure=Failure(kind="died", message="gone", phase="measuring", set_index=0),
        ),
        events.Split(group=GROUP, waves=((NAME,), ("nothing",)), reason="memory"),
        events.Split(group="another group", waves=((NAME,),), reason="memory"),
    ],
)
def test_events_of_another_plan_are_damage(tmp_path: Path, event: Event) -> None:
    path = write(tmp_path / journal.FILE, *SOUND[:3], event, *SOUND[3:])
    recovered = recovery.recover(path)
    assert recovered.damage is not None
    assert recovered.damage.line == 4
    assert "of the plan" in str(recovered.damage) or "has 1 wave" in str(recovered.damage)
    assert not samples(recovered.outcome)


def test_a_latency_that_no_run_has_is_damage(tmp_path: Path) -> None:
    path = write(tmp_path / journal.FILE, *SOUND[:2], visited(NAME, 0, 0, -1.0))
    recovered = recovery.recover(path)
    assert recovered.damage is not None
    assert recovered.damage.line == 3


@pytest.mark.parametrize("kind", ["died", "timeout", "out_of_memory"])
def test_a_resumed_run_measures_cells_again_whose_failure_may_have_passed(kind: str) -> None:
    outcome = Outcome.from_events([*SOUND[:4], failed(kind), events.Resumed()])
    assert not outcome.failures
    assert not samples(outcome)
    assert any(f"{NAME} had failed (gone)" in note for note in outcome.notes)


@pytest.mark.parametrize("kind", ["error", "wrong_answer", "recompiled"])
def test_a_resumed_run_does_not_try_other_failed_cells(kind: str) -> None:
    outcome = Outcome.from_events([*SOUND[:4], failed(kind), events.Resumed()])
    assert outcome.failures.keys() == {NAME}


def failed(kind: str) -> events.Failed:
    failure = Failure(kind=kind, message="gone", phase="measuring", set_index=0)
    return events.Failed(cell=NAME, failure=failure)
