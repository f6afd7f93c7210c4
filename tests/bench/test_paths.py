"""A path that no file can have is refused where one comes from outside."""

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from bench import load, measure, paths
from bench.api import project
from bench.api.measured_run import MeasuredRun
from bench.cli import main
from bench.counts import baseline_file
from bench.errors import RequestError
from bench.gate import tree
from bench.records import journal
from tests.bench import runs

Capture = pytest.CaptureFixture[str]
WITH_NULL, WITH_SURROGATE = "reports/a\0b", "reports/a\ud800b"


@pytest.mark.parametrize("path", ["a", "a b/ü", "a\nb", "\udcff"])  # the last: a byte, not UTF-8
def test_every_path_that_a_file_can_have_is_kept(path: str) -> None:
    assert paths.usable(path) == Path(path)


@pytest.mark.parametrize("path", [WITH_NULL, WITH_SURROGATE])
@pytest.mark.parametrize(
    "use",
    [
        load,
        lambda path: load(f"{path}{journal.SUFFIX}"),
        lambda path: measure(report_dir=path),
        lambda path: MeasuredRun(record=runs.small()).save(path),
        lambda path: baseline_file.read(Path(path)),
        lambda path: msgspec.convert({"baseline": path}, project.Project),
        lambda path: msgspec.convert({"history": path}, project.Project),
    ],
)
def test_other_paths_are_refused_with_their_escaped_name(
    path: str, use: Callable[[str], object]
) -> None:
    with pytest.raises((RequestError, msgspec.ValidationError)) as raised:
        use(path)
    shown = r"'reports/a\x00b" if path == WITH_NULL else r"'reports/a\ud800b"
    assert shown in str(raised.value)
    assert "is not a path: it contains a null character, or one that" in str(raised.value)


@pytest.mark.parametrize("options", [("-o", "{}.pt2"), ("-o", "a.pt2", "--weights", "{}")])
@pytest.mark.parametrize("path", [WITH_NULL, WITH_SURROGATE])
def test_an_export_refuses_them(
    path: str,
    options: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Capture,
) -> None:
    monkeypatch.chdir(tmp_path)
    given = [each.format(path) for each in options]
    assert main(["export", "tests.bench.tiny:net", *given]) == 2
    assert "is not a path: it contains" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("revision", [WITH_NULL, WITH_SURROGATE])
def test_git_is_not_asked_about_such_a_revision(revision: str) -> None:
    with pytest.raises(RequestError, match=r"git does not know revision 'reports/a\\"):
        tree.commit_of(revision, paths.usable(__file__).parent)


def test_a_url_is_not_a_path_and_not_repeated() -> None:
    url = "postgresql://user:secret@host/a\0b"
    assert msgspec.convert({"history": url}, project.Project).history == url


@pytest.mark.parametrize("name", ["\0", f"\0{journal.SUFFIX}", "\ud800"])
def test_commands_that_read_files_refuse_them(name: str, capsys: Capture) -> None:
    assert main(["report", name]) == 2
    assert main(["compare", name, name]) == 2
    assert "is not a path" in capsys.readouterr().err


def test_the_settings_name_the_file_and_the_table(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[tool.googlenet-bench]\nbaseline = "a\\u0000b"\n')
    with pytest.raises(RequestError, match=r"pyproject\.toml, .*'a\\x00b' is not a path"):
        project.read(tmp_path)
