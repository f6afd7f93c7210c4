"""The fixtures of the report's page: a browser, and pages opened in it from disk."""

from tests.bench.report.page.conftest import browser, opened

__all__ = ["browser", "opened"]
