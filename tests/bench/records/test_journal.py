import errno
import os
import re
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from bench.cells.plan import Plan
from bench.errors import RequestError
from bench.machine.card import Around, CardProcess, CardReading
from bench.machine.environment import Environment
from bench.records import events, journal
from bench.records.code import Code
from bench.records.events import Event
from bench.records.record import Failure
from bench.records.reported import ArchCost, Ceiling, Setup
from tests.bench import runs

PLAN = Plan(
    cells=(runs.REFERENCE_EAGER, runs.EAGER),
    sets=2,
    rounds=3,
    precision=0.02,
    extra_s=0.0,
    budget_s=None,
    seed=7,
)
GROUP = runs.EAGER.group
BEGAN = events.Began(
    schema_version=events.JOURNAL_VERSION,
    plan=PLAN,
    environment=Environment(torch="2.11.0"),
    code=Code(commit="1" * 40, digest="a"),
)
EVENTS: tuple[Event, ...] = (
    BEGAN,
    events.Resumed(),
    events.Counted(arch="googlenet", cost=ArchCost(params=7)),
    events.Compiled(cell=runs.EAGER.id, seconds=30.5),
    events.WaveBegan(GROUP, 0, 1),
    events.WorkerReported(cell=runs.EAGER.id, set_index=0, wave_index=1, facts=Setup(graphs=1)),
    events.Visited(
        cell=runs.EAGER.id,
        set_index=0,
        wave_index=1,
        round_index=2,
        dropped_s=0.06,
        host_s=(0.05, 0.1 + 0.2),
        device_s=(),
    ),
    events.RoundEnded(
        group=GROUP,
        set_index=0,
        wave_index=1,
        round_index=2,
        wall_s=1.5,
        foreign_cpus=0.25,
        voided=True,
    ),
    events.RoundEnded(
        group=GROUP,
        set_index=0,
        wave_index=1,
        round_index=3,
        wall_s=1.5,
        foreign_cpus=0.0,
        voided=True,
        reasons=("thermal",),
        card=Around(
            before=CardReading(sm_hz=1_980_000_000, throttled_s={"thermal": 0.5}),
            after=CardReading(reasons=("hw_thermal",), others=(CardProcess(pid=7, used_bytes=1),)),
        ),
    ),
    events.Shared(device="cuda:0", others=("process 7",)),
    events.Allotted(group=GROUP, rounds=20),
    events.CutShort(GROUP, 0),
    events.WaveEnded(GROUP, 0, 1),
    events.Split(group=GROUP, waves=((runs.EAGER.id,),), reason="memory"),
    events.Failed(
        cell=runs.EAGER.id,
        failure=Failure(kind="died", message="gone", phase="measuring", set_index=0),
    ),
    events.PhaseTimed(phase="importing", seconds=3.25),
    events.CeilingMeasured(dtype="fp32", facts=Ceiling(bytes_per_s=2e10)),
    events.Fitted(fit=runs.fitted().fits[0]),
    events.Visited(
        cell=runs.EAGER.id,
        set_index=0,
        wave_index=1,
        round_index=3,
        dropped_s=0.06,
        host_s=(0.05,),
        device_s=(0.04,),
        back_to_back=runs.on_cuda(0.25).visits[0].back_to_back,
    ),
    events.Noted(sentence="more than --memory"),
    events.StoppedEarly(set_index=0, sentence="every round was voided"),
)


def write(path: Path, *to_write: Event) -> Path:
    with journal.Journal(path, on_error=_no_error) as writer:
        for event in to_write:
            writer.append(event)
    return path


def _no_error(error: OSError) -> None:
    raise error


def test_every_event_is_read_as_written(tmp_path: Path) -> None:
    assert {type(event) for event in EVENTS} == set(events.Event.__args__)
    path = write(tmp_path / "new" / journal.FILE, *EVENTS)
    assert tuple(journal.read(path)) == EVENTS


def test_event_is_on_disk_after_append(tmp_path: Path) -> None:
    path = tmp_path / journal.FILE
    with journal.Journal(path, on_error=_no_error) as writer:
        for count, event in enumerate(EVENTS, 1):
            writer.append(event)
            assert len(list(journal.read(path))) == count


@pytest.mark.parametrize("cut", [1, 5, 40])
def test_incomplete_last_line_is_ignored_and_removed(tmp_path: Path, cut: int) -> None:
    path = write(tmp_path / journal.FILE, *EVENTS[:6])
    path.write_bytes(path.read_bytes()[:-cut])
    assert tuple(journal.read(path)) == EVENTS[:5]
    write(path, *EVENTS[6:])
    assert tuple(journal.read(path)) == (*EVENTS[:5], *EVENTS[6:])


def test_every_changed_byte_is_detected(tmp_path: Path) -> None:
    path = write(tmp_path / journal.FILE, *EVENTS)
    intact = path.read_bytes()
    line, undetected = 0, []
    for index, byte in enumerate(intact[:-1]):
        line += index == 0 or intact[index - 1] == ord("\n")
        path.write_bytes(intact[:index] + bytes([byte ^ 1 << index % 8]) + intact[index + 1 :])
        if _damaged_line(path) != line:
            undetected.append(index)
    assert not undetected


def _damaged_line(path: Path) -> int:
    """Return the number of the first damaged line, 0 if there is none.

    The events before it must be read.
    """
    read, damaged = list[Event](), 0
    try:
        for event in journal.read(path):
            read.append(event)
    except journal.DamagedJournalError as error:
        damaged = error.line
    assert not damaged or read == list(EVENTS[: damaged - 1])
    return damaged


@pytest.mark.parametrize(
    "damage",
    [
        lambda lines: [*lines[:2], *lines[3:]],
        lambda lines: [*lines[:2], lines[3], lines[2], *lines[4:]],
        lambda lines: [*lines[:2], lines[1], *lines[2:]],
        lambda lines: [*lines[:2], b'{"type":"Resumed"}', *lines[2:]],
        lambda lines: [*lines[:2], b"\xff\xfe", *lines[2:]],
        lambda lines: [*lines[:2], b"[" * 100_000, *lines[2:]],
        lambda lines: [*lines[:2], b"", *lines[2:]],
    ],
)
def test_lost_moved_repeated_and_added_lines_are_detected(
    tmp_path: Path, damage: Callable[[list[bytes]], list[bytes]]
) -> None:
    path = write(tmp_path / journal.FILE, *EVENTS)
    path.write_bytes(b"\n".join(damage(path.read_bytes().split(b"\n"))))
    assert _damaged_line(path) == 3


def test_an_integer_of_more_than_64_bits_is_damage(tmp_path: Path) -> None:
    path = write(tmp_path / journal.FILE, *EVENTS)
    _remove_checksums(path, version=3)
    before, found, after = path.read_bytes().partition(b'"set_index":0')
    path.write_bytes(before + b'"set_index":1' + 30 * b"0" + after)
    assert found
    assert _damaged_line_number(path) == before.count(b"\n") + 1


def test_journals_of_earlier_versions_have_no_checksums(tmp_path: Path) -> None:
    path = write(tmp_path / journal.FILE, *EVENTS)
    _remove_checksums(path, version=3)
    assert [*journal.read(path)][1:] == [*EVENTS[1:]]
    write(path, *EVENTS[1:3])  # a resumed run continues with checksums
    assert [*journal.read(path)][-2:] == [*EVENTS[1:3]]
    lines = path.read_bytes().split(b"\n")
    path.write_bytes(b"\n".join([*lines[:-3], *lines[-2:]]))
    assert _damaged_line_number(path) == len(EVENTS) + 1


def _damaged_line_number(path: Path) -> int:
    with pytest.raises(journal.DamagedJournalError) as raised:
        list(journal.read(path))
    return raised.value.line


def test_a_present_journal_needs_its_checksums(tmp_path: Path) -> None:
    path = write(tmp_path / journal.FILE, *EVENTS)
    _remove_checksums(path, version=events.JOURNAL_VERSION)
    with pytest.raises(RequestError, match="line 1: it has no checksum"):
        list(journal.read(path))


def _remove_checksums(path: Path, version: int) -> None:
    now, then = f'"schema_version":{events.JOURNAL_VERSION}', f'"schema_version":{version}'
    text = re.sub(r',"crc32":"[0-9a-f]{8}"\}\n', "}\n", path.read_text())
    path.write_text(text.replace(now, then))


def test_a_journal_is_cut_before_its_damaged_line(tmp_path: Path) -> None:
    path = write(tmp_path / journal.FILE, *EVENTS)
    intact = path.read_bytes()
    copy = journal.cut(path, damaged_line=5)
    assert copy.read_bytes() == intact
    assert copy != path
    assert tuple(journal.read(path)) == EVENTS[:4]
    write(path, EVENTS[1])
    assert tuple(journal.read(path)) == (*EVENTS[:4], EVENTS[1])


def test_text_of_a_journal_can_be_shown(tmp_path: Path) -> None:
    path = write(tmp_path / journal.FILE, BEGAN, events.Noted(sentence="a\x1b[31mb\u202e\nc"))
    assert [*journal.read(path)][1] == events.Noted(sentence="a\\x1b[31mb\\u202e\nc")


def _headless(path: Path) -> None:
    path.unlink()
    write(path, *EVENTS[1:])


def _of_another_version(path: Path) -> None:
    path.unlink()
    write(path, msgspec.structs.replace(BEGAN, schema_version=99))


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda path: path.write_bytes(b"{}\n"), "is not a journal: line 1"),
        (
            lambda path: path.write_bytes(b'{"x": ' + b"[" * 200_000 + b"\n"),
            "is not a journal: line 1: it is nested too deeply",
        ),
        (_headless, "its first event must be Began"),
        (_of_another_version, "schema version 99"),
        (lambda path: path.write_bytes(b""), "is an empty journal"),
        (Path.unlink, "cannot read"),
    ],
)
def test_invalid_journal_raises_request_error(
    tmp_path: Path, damage: Callable[[Path], object], words: str
) -> None:
    path = write(tmp_path / journal.FILE, *EVENTS)
    damage(path)
    with pytest.raises(RequestError, match=words):
        list(journal.read(path))


def test_full_disk_ends_the_journal_and_is_reported_once(tmp_path: Path) -> None:
    path = tmp_path / journal.FILE
    path.symlink_to("/dev/full")
    errors: list[OSError] = []
    with journal.Journal(path, on_error=errors.append) as writer:
        for event in EVENTS:
            writer.append(event)
    assert [error.strerror for error in errors] == ["No space left on device"]


def test_set_aside_renames_an_unfinished_journal(tmp_path: Path) -> None:
    path = tmp_path / journal.FILE
    assert journal.set_aside(path) is None
    write(path, *EVENTS)
    aside = journal.set_aside(path)
    assert aside is not None
    assert aside != path
    assert not path.exists()
    assert tuple(journal.read(aside)) == EVENTS


@pytest.mark.parametrize("content", [b"", b'{"type": "Beg'])
def test_journal_without_a_complete_line_is_empty(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / journal.FILE
    assert journal.is_empty(path)
    path.write_bytes(content)
    assert journal.is_empty(path)
    assert journal.set_aside(path) is None
    write(path, *EVENTS)
    assert not journal.is_empty(path)
    assert tuple(journal.read(path)) == EVENTS


def test_journal_is_locked_while_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / journal.FILE
    with journal.Journal(path, on_error=_no_error) as writer:
        writer.append(BEGAN)
        with pytest.raises(RequestError, match="another run is writing"):
            journal.Journal(path, on_error=_no_error)
        with pytest.raises(RequestError, match="another run is writing"):
            journal.set_aside(path)
        writer.append(EVENTS[1])
    assert list(journal.read(path)) == list(EVENTS[:2])
    assert journal.set_aside(path)


def test_folder_that_is_not_writable_raises_request_error(tmp_path: Path) -> None:
    (tmp_path / "reports").write_text("a file")
    with pytest.raises(RequestError, match="--report-dir"):
        journal.Journal(tmp_path / "reports" / "here" / journal.FILE, on_error=_no_error)


def _flock(number: int) -> Callable[[object, int], None]:
    """Return an flock that fails with an error number."""

    def fails(_file: object, _how: int) -> None:
        raise OSError(number, os.strerror(number))

    return fails


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK])
def test_journal_works_without_file_locks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setattr("fcntl.flock", _flock(number))
    path = tmp_path / journal.FILE
    with journal.Journal(path, on_error=_no_error) as writer:
        assert not writer.is_locked
        writer.append(BEGAN)
    assert tuple(journal.read(path)) == (BEGAN,)
    assert journal.set_aside(path)


def test_other_lock_error_raises_request_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fcntl.flock", _flock(errno.EIO))
    with pytest.raises(RequestError, match=r"cannot lock .*: Input/output error; --report-dir"):
        journal.Journal(tmp_path / journal.FILE, on_error=_no_error)


@pytest.mark.parametrize(("refused", "advice"), [("open", "--report-dir"), ("rename", "--resume")])
def test_journal_that_cannot_be_set_aside_raises_request_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: str, advice: str
) -> None:
    path = write(tmp_path / journal.FILE, *EVENTS)

    def refuses(*_: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(Path, refused, refuses)
    with pytest.raises(RequestError, match=rf"cannot set aside .*: Permission denied; {advice}"):
        journal.set_aside(path)


def test_events_of_earlier_journals_are_read() -> None:
    lines = (
        b'{"type":"Learned","cell":"a","set_index":0,"wave_index":1,"facts":{"graphs":1}}',
        b'{"type":"Spent","phase":"importing","seconds":3.25}',
        b'{"type":"Ceiling","dtype":"fp32","facts":{"error":"no kernel"}}',
    )
    assert [msgspec.json.decode(line, type=Event) for line in lines] == [
        events.WorkerReported(cell="a", set_index=0, wave_index=1, facts=Setup(graphs=1)),
        events.PhaseTimed(phase="importing", seconds=3.25),
        events.CeilingMeasured(dtype="fp32", facts=Ceiling(error="no kernel")),
    ]
