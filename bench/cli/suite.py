"""The pytest suite, run by a command in the current folder."""

import os
from collections.abc import Sequence
from pathlib import Path

from bench.errors import RequestError
from bench.exits import Exit


class _InternalErrors:
    """A pytest plugin that detects internal errors, whose exit code a gate uses otherwise."""

    occurred = False

    def pytest_internalerror(self) -> None:
        """Record the error."""
        self.occurred = True


def run(name: str, options: Sequence[str]) -> int:
    """Run the suite with options of the suite and of pytest, for the command ``name``.

    Returns pytest's exit code, translated to that of commands. Raises ``RequestError`` if pytest or
    the suite refuses the request, also after the session has begun.
    """
    import pytest

    from bench import suite
    from bench.suite import other_plugins, session
    from bench.suite.refusals import Refusals

    class Checks:
        """A pytest plugin that refuses what cannot be combined with the suite."""

        @pytest.hookimpl(tryfirst=True)
        def pytest_configure(self, config: pytest.Config) -> None:
            """Check the other plugins, and say which command repeats the run."""
            other_plugins.check(config)
            typed = session.command(options, program=("googlenet-bench", name))
            config.stash[session.COMMAND] = typed

    folder = str(Path(suite.__file__).parent)
    internal_errors, refusals = _InternalErrors(), Refusals(folder)
    status = pytest.main(
        [
            folder,
            *("-ra", "--no-header", "-p", "bench.suite.plugin", "-p", "no:cacheprovider"),
            *("-c", os.devnull, f"--rootdir={Path.cwd()}"),
            # A virtual environment may be inside a project, whose conftest.py is not ours to run.
            f"--confcutdir={folder}",
            # The plugin of the wheel makes pytest rewrite this package, which is imported already.
            *("-W", "ignore:Module already imported:pytest.PytestAssertRewriteWarning"),
            *options,
        ],
        plugins=[internal_errors, refusals, Checks()],
    )
    if refusals.message:
        raise RequestError(refusals.message)
    wrong_request = {pytest.ExitCode.USAGE_ERROR, pytest.ExitCode.NO_TESTS_COLLECTED}
    return (
        Exit.WRONG_REQUEST if internal_errors.occurred or status in wrong_request else int(status)
    )
