from pathlib import Path

import pytest

from bench.api.report_folder import ReportFolder
from bench.errors import RequestError
from bench.machine.environment import Environment
from bench.records import journal

ROOT = Path("/somewhere")
ABOUT = Environment(device="cuda", device_name="NVIDIA H200")


@pytest.mark.parametrize(("is_gate", "below"), [(False, "nvidia-h200"), (True, "nvidia-h200/gate")])
def test_reports_go_to_the_machine_s_folder_or_to_the_chosen_one(is_gate: bool, below: str) -> None:
    default = ReportFolder(chosen=None, root=ROOT, is_gate=is_gate)
    assert default.of(ABOUT) == ROOT / "reports" / below
    assert ReportFolder(chosen=Path("out"), root=ROOT, is_gate=is_gate).of(ABOUT) == Path("out")


def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    ReportFolder(chosen=tmp_path / "new" / "one", root=ROOT).check()
    assert not (tmp_path / "new").exists()
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(RequestError, match="cannot write to"):
        ReportFolder(chosen=file, root=ROOT).check()


def test_the_interrupted_run_is_the_only_one_or_the_chosen_one(tmp_path: Path) -> None:
    default = ReportFolder(chosen=None, root=tmp_path)
    with pytest.raises(RequestError, match="nothing to resume: no file matches reports"):
        default.interrupted_journal()
    first, second = (tmp_path / "reports" / name / journal.FILE for name in ("a", "b"))
    for path in (first, second):
        chosen = ReportFolder(chosen=path.parent, root=tmp_path)
        with pytest.raises(RequestError, match=f"nothing to resume: {path} does not exist"):
            chosen.interrupted_journal()
        path.parent.mkdir(parents=True)
        path.write_text("")
        assert chosen.interrupted_journal() == path
        if path == first:
            assert default.interrupted_journal() == first
    with pytest.raises(RequestError, match="more than one run was interrupted; choose one"):
        default.interrupted_journal()
