"""Refusals of a session that a command runs, as the error that all commands report.

pytest would print them in three forms: after ``ERROR:``, after its usage, or between its own lines
on a session that has ended.
"""

import re
from collections.abc import Generator

import pytest

from bench.cli.command import unrecognized
from bench.errors import RequestError

# How pytest introduces what is wrong with its options, after its usage and before its facts.
_ERROR = re.compile(r"^.*: error: (?P<message>.*)$", re.MULTILINE)
_UNRECOGNIZED = "unrecognized arguments: "


class Refusals:
    """A pytest plugin that raises ``RequestError`` where pytest would print a refusal."""

    def __init__(self, folder: str) -> None:
        """``folder``: the only argument of pytest that is no option."""
        self._folder = folder
        self._plugins: pytest.PytestPluginManager | None = None
        self.message = ""
        """Why the session ended early, after it had begun; empty if it did not."""

    @pytest.hookimpl(wrapper=True)
    def pytest_cmdline_parse(
        self, pluginmanager: pytest.PytestPluginManager
    ) -> Generator[None, pytest.Config, pytest.Config]:
        """Refuse options that pytest does not know, and words that are no option."""
        self._plugins = pluginmanager
        try:
            config = yield
        except pytest.UsageError as error:
            raise RequestError(_without_usage(str(error))) from error
        if others := [str(argument) for argument in config.args if argument != self._folder]:
            raise RequestError(
                f"{unrecognized(others)}; --archs, --modes and -k select what is measured"
            )
        return config

    @pytest.hookimpl(wrapper=True)
    def pytest_cmdline_main(self) -> Generator[None, int | None, int | None]:
        """Refuse an invalid request, before the session begins."""
        try:
            return (yield)
        except pytest.UsageError as error:
            raise RequestError(str(error)) from error

    @pytest.hookimpl(tryfirst=True)
    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Keep the message of a session that ends early; leave out pytest's own lines on it."""
        if isinstance(excinfo.value, pytest.exit.Exception):
            self.message = excinfo.value.msg
            reporter = self._plugins and self._plugins.unregister(name="terminalreporter")
            if isinstance(reporter, pytest.TerminalReporter):
                reporter.ensure_newline()


def _without_usage(message: str) -> str:
    """Return what is wrong with options, without pytest's usage and facts."""
    found = _ERROR.search(message)
    sentence = found["message"] if found else message
    if sentence.startswith(_UNRECOGNIZED):
        return unrecognized(sentence.removeprefix(_UNRECOGNIZED).split())
    return sentence
