"""The suite as a pytest plugin: its options, and the plan made from them."""

import pytest

from bench.names import RequestError
from bench.suite import gate_options, options, planning, report_folder


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the suite's options."""
    options.add(parser)
    gate_options.add(parser)


def pytest_configure(config: pytest.Config) -> None:
    """Make the plan; raise ``UsageError`` for an invalid request, before anything is started."""
    try:
        if options.is_gate(config):
            request = gate_options.make_request(config)
            config.stash[gate_options.REQUEST] = request
            config.stash[planning.PLAN] = request.plan
        else:
            gate_options.refuse(config)
            config.stash[planning.PLAN] = planning.make_plan(config)
        report_folder.check(config)
    except RequestError as error:
        raise pytest.UsageError(str(error)) from error
