"""The benchmark suite's options: ``pytest bench/suite`` measures, ``pytest`` runs the tests."""

import pytest

from bench.names import RequestError
from bench.suite import options


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the suite's options."""
    options.add(parser)


def pytest_configure(config: pytest.Config) -> None:
    """Refuse a wrong request in a sentence, before anything is started."""
    try:
        config.stash[options.PLAN] = options.make_plan(config)
        options.check_report_folder(config)
    except RequestError as error:
        raise pytest.UsageError(str(error)) from error
