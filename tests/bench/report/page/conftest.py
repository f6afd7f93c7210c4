"""One Chromium for all tests that need a browser, and a page opened from disk in it."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A page in the browser, and what it did that it should not."""

    page: Page
    messages: list[str] = field(default_factory=list)
    """Of the console, and errors."""
    requests: list[str] = field(default_factory=list)
    """Every address asked for, the file's own among them."""


Open = Callable[..., Opened]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    with sync_playwright() as playwright:
        path = found or playwright.chromium.executable_path
        if not Path(path).exists():
            pytest.skip(
                f"no browser: install one of {', '.join(BROWSERS)}, or run "
                "`playwright install chromium`"
            )
        started = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture
def opened(browser: Browser, tmp_path: Path) -> Iterator[Open]:
    """Opens HTML as a file; after the test, no page may have used the console or the network."""
    all_opened: list[tuple[Opened, str]] = []

    def open_file(html: str, **options: Any) -> Opened:
        file = tmp_path / "report.html"
        file.write_text(html, encoding="utf-8")
        context = browser.new_context(**options)
        one = Opened(page=context.new_page())
        all_opened.append((one, file.as_uri()))
        one.page.on("console", lambda message: one.messages.append(message.text))
        one.page.on("pageerror", lambda error: one.messages.append(str(error)))
        one.page.on("request", lambda request: one.requests.append(request.url))
        one.page.goto(file.as_uri())
        return one

    yield open_file
    for one, address in all_opened:
        one.page.context.close()
        assert one.messages == []
        assert {url for url in one.requests if not url.startswith("data:")} == {address}
