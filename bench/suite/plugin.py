"""The suite as a pytest plugin: its options, and the request made from them."""

import pytest

from bench.api.gate_options import GateOptions
from bench.api.measure_request import MeasureRequest
from bench.api.option import add
from bench.errors import RequestError
from bench.suite.session import REQUEST, make_request

# Options of pytest-benchmark that shape its table.
_OF_ITS_TABLE = tuple(
    f"--benchmark-{name}"
    for name in ("columns", "sort", "group-by", "name", "time-unit", "compare")
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the suite's options and the gate's, in the groups that they are declared with."""
    for request in (MeasureRequest, GateOptions):
        add(lambda title: _group(parser, title).addoption, request)


def _group(parser: pytest.Parser, title: str) -> pytest.OptionGroup:
    return parser.getgroup(f"googlenet-bench {title}", f"googlenet-bench: {title}")


def pytest_configure(config: pytest.Config) -> None:
    """Make the request; raise ``UsageError`` if it is invalid, before anything is started.

    pytest-benchmark's table is left out unless one of its options is given: it has no intervals,
    and compares means that were not measured in the same rounds.
    """
    if not any(str(given).startswith(_OF_ITS_TABLE) for given in config.invocation_params.args):
        config.option.benchmark_quiet = True
    try:
        config.stash[REQUEST] = make_request(config)
    except RequestError as error:
        raise pytest.UsageError(str(error)) from error
