"""The journals of a choice's steps."""

from pathlib import Path

import pytest

from bench.api.step_journals import FOLDER, StepJournals
from bench.errors import RequestError
from bench.records import journal
from bench.records.journal import Journal
from tests.bench.engine.running import Watcher
from tests.bench.records.test_journal import BEGAN

FIRST, SECOND = (Path(FOLDER, f"step-{step}", journal.FILE) for step in (1, 2))


def write(folder: Path, *paths: Path) -> None:
    for path in paths:
        with Journal(folder / path, on_error=lambda _: None) as opened:
            opened.append(BEGAN)


def test_without_a_report_folder_there_are_no_journals() -> None:
    journals, watcher = StepJournals(report_dir=None, resume=False), Watcher()
    journals.begin(1, watcher)
    journals.delete()
    assert (journals.folder(1), journals.read(1, Watcher()), journals.files) == (None, None, ())
    assert watcher.notes == []


def test_each_step_that_has_a_journal_is_continued(tmp_path: Path) -> None:
    write(tmp_path, FIRST)
    journals = StepJournals(report_dir=tmp_path, resume=True)
    journals.begin(1, Watcher())
    assert [journals.has(step) for step in (1, 2)] == [True, False]
    begun = journals.read(1, Watcher())
    assert begun is not None
    assert begun.plan == BEGAN.plan
    assert journals.read(2, Watcher()) is None
    # A choice that does not continue an earlier one does not read its journals.
    assert StepJournals(report_dir=tmp_path, resume=False).read(1, Watcher()) is None


def test_a_new_choice_sets_all_journals_of_an_earlier_one_aside(tmp_path: Path) -> None:
    write(tmp_path, FIRST, SECOND)
    journals, watcher = StepJournals(report_dir=tmp_path, resume=False), Watcher()
    journals.begin(1, watcher)
    (note,) = watcher.notes
    assert "its journals were renamed" in note
    assert journals.files == ()
    assert len(list(tmp_path.glob(f"{FOLDER}/*/{journal.STEM}-*{journal.SUFFIX}"))) == 2


def test_a_second_choice_in_the_folder_is_refused(tmp_path: Path) -> None:
    journals = StepJournals(report_dir=tmp_path, resume=False)
    with Journal(tmp_path / FIRST, on_error=lambda _: None) as opened:
        opened.append(BEGAN)
        with pytest.raises(RequestError, match="another run is writing"):
            journals.begin(1, Watcher())


def test_journals_are_deleted_with_their_folders_unless_these_have_other_files(
    tmp_path: Path,
) -> None:
    write(tmp_path, FIRST, SECOND)
    journals = StepJournals(report_dir=tmp_path, resume=False)
    (tmp_path / SECOND).with_name("own.txt").write_text("mine")
    journals.delete()
    assert not (tmp_path / FIRST).parent.exists()
    assert [path.name for path in (tmp_path / SECOND).parent.iterdir()] == ["own.txt"]
    (tmp_path / SECOND).with_name("own.txt").unlink()
    write(tmp_path, SECOND)
    journals.delete()
    assert not (tmp_path / FOLDER).exists()
