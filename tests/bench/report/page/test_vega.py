from pathlib import Path

import pytest
import vl_convert

from bench.report.page import vega

SNIPPET = "export const made = 7;"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    vega.bundled.cache_clear()
    return tmp_path / "googlenet-bench"


def test_a_bundle_is_made_once_and_kept(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = vega.bundled(SNIPPET)
    assert "7" in made
    assert [path.read_text() for path in cache.glob("vega-*.js")] == [made]
    vega.bundled.cache_clear()
    monkeypatch.setattr(vl_convert, "javascript_bundle", lambda _: "made anew")
    assert vega.bundled(SNIPPET) == made
    assert vega.bundled(f"{SNIPPET} ") == "made anew"


def test_another_vega_is_bundled_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vl_convert, "javascript_bundle", lambda _: "of the first")
    assert vega.bundled(SNIPPET) == "of the first"
    vega.bundled.cache_clear()
    monkeypatch.setattr(vega, "version", lambda _: "99")
    monkeypatch.setattr(vl_convert, "javascript_bundle", lambda _: "of the next")
    assert vega.bundled(SNIPPET) == "of the next"


def test_a_home_that_takes_nothing_costs_only_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "googlenet-bench").write_text("a file where the folder should be")
    monkeypatch.setattr(vl_convert, "javascript_bundle", lambda _: "made")
    assert vega.bundled(SNIPPET) == "made"
