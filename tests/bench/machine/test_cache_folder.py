import os
from pathlib import Path

import pytest

from bench.machine import pinned
from bench.machine.cache_folder import cache_folder


def without_home(_: type[Path]) -> Path:
    raise RuntimeError("Could not determine home directory.")


@pytest.mark.parametrize("home", ["none", "file"])
def test_cache_without_a_home_is_in_the_temporary_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: str
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(Path, "home", classmethod(without_home))
    base = {} if home == "none" else {"XDG_CACHE_HOME": str(tmp_path / home)}
    folder = cache_folder(base)
    assert folder == tmp_path / f"googlenet-bench-{os.getuid()}"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert cache_folder(base) == folder  # the next run finds it again
    variables = pinned.for_workers(base)
    assert variables["TORCHINDUCTOR_CACHE_DIR"] == str(folder / "inductor")


def test_cache_folder_of_another_user_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(Path, "home", classmethod(without_home))
    other_folder = cache_folder({})
    uid = os.getuid()
    other_folder.rename(tmp_path / f"googlenet-bench-{uid + 1}")
    monkeypatch.setattr("os.getuid", lambda: uid + 1)
    folder = cache_folder({})
    assert folder.parent == tmp_path
    assert cache_folder({}) == folder  # until this process ends
    assert folder.name != f"googlenet-bench-{uid + 1}"
