import shlex

import pytest

from bench.api.gate_options import GateOptions
from bench.api.measure_request import MeasureRequest
from bench.api.option import declared
from bench.suite import session
from bench.suite.session import REQUEST


def test_the_command_repeats_the_run(pytestconfig: pytest.Config) -> None:
    arguments = [str(argument) for argument in pytestconfig.invocation_params.args]
    assert shlex.split(session.command(arguments)) == ["pytest", *arguments]
    assert pytestconfig.stash[REQUEST].plan.command == session.command(arguments)


@pytest.mark.parametrize(
    "place", [["--report-dir", "/home/me/x"], ["--report-dir=/home/me/x"], ["--junitxml=/home/me"]]
)
def test_the_command_omits_output_paths(place: list[str]) -> None:
    typed = ["bench/suite", "--sets", "8", *place, "-k", "compile and not train"]
    expected = "pytest bench/suite --sets 8 -k 'compile and not train'"
    assert session.command(typed) == expected


@pytest.mark.parametrize("request_type", [MeasureRequest, GateOptions])
def test_the_plugin_adds_every_option(
    pytestconfig: pytest.Config, request_type: type[MeasureRequest | GateOptions]
) -> None:
    missing = object()
    for name in declared(request_type):
        assert pytestconfig.getoption(name, missing) is not missing
