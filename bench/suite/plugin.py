"""The suite as a pytest plugin: its options, and the request made from them."""

import pytest

from bench.api.gate_request import GateOptions
from bench.api.measure_request import MeasureRequest
from bench.api.option import add
from bench.names import RequestError
from bench.suite.session import REQUEST, make_request


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the suite's options, and those of the gate in their own group."""
    suite = parser.getgroup("googlenet-bench", "googlenet-bench: what to measure, and how")
    add(suite.addoption, MeasureRequest)
    gate = parser.getgroup("googlenet-bench gate", "googlenet-bench: is head slower than a base?")
    add(gate.addoption, GateOptions)


def pytest_configure(config: pytest.Config) -> None:
    """Make the request; raise ``UsageError`` if it is invalid, before anything is started."""
    try:
        config.stash[REQUEST] = make_request(config)
    except RequestError as error:
        raise pytest.UsageError(str(error)) from error
