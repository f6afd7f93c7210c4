"""The suite as a pytest plugin: its options, and the plan that they make."""

import pytest

from bench.names import RequestError
from bench.suite import gate_options, options, planning, report_folder


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the suite's options."""
    options.add(parser)
    gate_options.add(parser)


def pytest_configure(config: pytest.Config) -> None:
    """Refuse a wrong request in a sentence, before anything is started."""
    try:
        if options.is_gate(config):
            asked = gate_options.ask(config)
            config.stash[gate_options.ASKED] = asked
            config.stash[planning.PLAN] = asked.plan
        else:
            gate_options.refuse(config)
            config.stash[planning.PLAN] = planning.make_plan(config)
        report_folder.check(config)
    except RequestError as error:
        raise pytest.UsageError(str(error)) from error
