"""Fixtures: one Chromium for all tests that need a browser, and pages opened from disk in it."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenPage:
    """A page in the browser, with its console messages and requests."""

    page: Page
    messages: list[str] = field(default_factory=list)
    """Console messages and errors."""
    requests: list[str] = field(default_factory=list)
    """Every requested address, including the file's own."""


Open = Callable[..., OpenPage]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    installed = next(filter(None, map(shutil.which, BROWSERS)), None)
    with sync_playwright() as playwright:
        path = installed or playwright.chromium.executable_path
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
    """Open HTML as a file; after the test, no page may have used the console or the network."""
    all_pages: list[tuple[OpenPage, str]] = []

    def open_file(html: str, **options: Any) -> OpenPage:
        file = tmp_path / "report.html"
        file.write_text(html, encoding="utf-8")
        context = browser.new_context(**options)
        opened_page = OpenPage(page=context.new_page())
        all_pages.append((opened_page, file.as_uri()))
        opened_page.page.on("console", lambda message: opened_page.messages.append(message.text))
        opened_page.page.on("pageerror", lambda error: opened_page.messages.append(str(error)))
        opened_page.page.on("request", lambda request: opened_page.requests.append(request.url))
        opened_page.page.goto(file.as_uri())
        return opened_page

    yield open_file
    for opened_page, address in all_pages:
        opened_page.page.context.close()
        assert opened_page.messages == []
        assert {url for url in opened_page.requests if not url.startswith("data:")} == {address}
