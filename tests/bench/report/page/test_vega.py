from pathlib import Path

import pytest
import vl_convert

from bench.report.page import vega

SNIPPET = "export const seven = 7;"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    vega.bundled.cache_clear()
    return tmp_path / "googlenet-bench"


def test_bundle_is_created_once_and_cached(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = vega.bundled(SNIPPET)
    assert "7" in bundle
    assert [path.read_text() for path in cache.glob("vega-*.js")] == [bundle]
    vega.bundled.cache_clear()
    monkeypatch.setattr(vl_convert, "javascript_bundle", lambda _: "new bundle")
    assert vega.bundled(SNIPPET) == bundle
    assert vega.bundled(f"{SNIPPET} ") == "new bundle"


def test_another_version_of_vega_is_bundled_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vl_convert, "javascript_bundle", lambda _: "first bundle")
    assert vega.bundled(SNIPPET) == "first bundle"
    vega.bundled.cache_clear()
    monkeypatch.setattr(vega, "version", lambda _: "99")
    monkeypatch.setattr(vl_convert, "javascript_bundle", lambda _: "next bundle")
    assert vega.bundled(SNIPPET) == "next bundle"


def test_bundle_works_without_a_writable_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "googlenet-bench").write_text("a file where the folder should be")
    monkeypatch.setattr(vl_convert, "javascript_bundle", lambda _: "bundle")
    assert vega.bundled(SNIPPET) == "bundle"
