"""A path that no file can have is refused wherever one comes from outside."""

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from bench import load, measure, paths
from bench.api import project
from bench.api.measured_run import MeasuredRun
from bench.cli import main
from bench.errors import RequestError
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
    assert "the name of a file cannot contain such a character" in str(raised.value)


@pytest.mark.parametrize("name", ["\0", f"\0{journal.SUFFIX}", "\ud800"])
def test_commands_that_read_files_refuse_them(name: str, capsys: Capture) -> None:
    assert main(["report", name]) == 2
    assert main(["compare", name, name]) == 2
    assert "is not a path" in capsys.readouterr().err


def test_the_settings_name_the_file_and_the_table(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[tool.googlenet-bench]\nbaseline = "a\\u0000b"\n')
    with pytest.raises(RequestError, match=r"pyproject\.toml, .*'a\\x00b' is not a path"):
        project.read(tmp_path)
