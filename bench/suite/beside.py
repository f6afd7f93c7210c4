"""The suite beside the tests of another project: ``pytest --googlenet-bench``."""

from pathlib import Path

import pytest

from bench.names import RequestError
from bench.suite import runner
from bench.suite.session import REQUEST, project_request


def add(config: pytest.Config) -> None:
    """Add the cells of the project to what pytest collects.

    Raises ``UsageError`` if its settings are invalid, or if they cannot be measured in this
    session.
    """
    runner.check(config)
    try:
        config.stash[REQUEST] = project_request(config)
    except RequestError as error:
        raise pytest.UsageError(str(error)) from error
    config.args.append(str(Path(__file__).with_name("test_cells.py")))
