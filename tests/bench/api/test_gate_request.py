"""A gate's request, from its options and from the settings of a checkout."""

import argparse
from functools import partial
from pathlib import Path

import pytest

from bench.api import gate_request
from bench.api.gate_options import GateOptions
from bench.api.measure_request import MeasureRequest
from bench.api.option import add_to_parser, read
from bench.errors import RequestError
from bench.gate.group_sequential import Settings
from tests.bench.suite.user_repository import git

CELL = "googlenet/eager/fp32/b1/infer/cpu"
SETTINGS = """
[tool.googlenet-bench.gate]
modes = ["eager"]
delta = {delta}

[[tool.googlenet-bench.gate.exceptions]]
cells = "{cells}"
delta = 0.10
reason = "fused later"
expires = 9999-12-31
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    git(tmp_path, "init", "--quiet")
    return tmp_path


def settings_of(
    checkout: Path, *arguments: str, cells: str = "googlenet/*", delta: float = 0.05
) -> Settings:
    """Return the settings of a gate with these options in a checkout."""
    (checkout / "pyproject.toml").write_text(SETTINGS.format(cells=cells, delta=delta))
    parser = argparse.ArgumentParser()
    add_to_parser(parser, MeasureRequest)
    add_to_parser(parser, GateOptions)
    value_of = partial(getattr, parser.parse_args(["--base=HEAD", "--device=cpu", *arguments]))
    request, options = read(MeasureRequest, value_of), read(GateOptions, value_of)
    return gate_request.make_request(request, options, checkout).settings


@pytest.mark.parametrize(("delta", "expected"), [("0.15", 0.15), ("0.02", 0.10)])
def test_an_exception_applies_unless_delta_is_larger(
    checkout: Path, delta: str, expected: float
) -> None:
    result = settings_of(checkout, f"--delta={delta}")
    assert result.delta == float(delta)
    assert result.deltas == {CELL: expected}


def test_an_exception_below_the_committed_delta_is_an_error(checkout: Path) -> None:
    with pytest.raises(RequestError, match=r"must be from 0\.2 to 1, not 0\.1"):
        settings_of(checkout, "--delta=0.05", delta=0.2)


def test_an_exception_for_configured_cells_is_valid_even_if_options_select_others(
    checkout: Path,
) -> None:
    assert settings_of(checkout, "--archs=torchvision").deltas == {}
    assert settings_of(checkout, "--archs=torchvision", cells="googlenet/*/cuda").deltas == {}
    with pytest.raises(RequestError, match="and no cell of the settings"):
        settings_of(checkout, "--archs=torchvision", cells="googlenet/compile/*")


def test_options_of_a_gate_need_a_base() -> None:
    assert GateOptions(base_python="python3").asks_for_gate
    assert not GateOptions().asks_for_gate
    with pytest.raises(RequestError, match=r"--most-sets applies only to a gate: name the base"):
        assert GateOptions(most_sets=9).asks_for_gate
    with pytest.raises(RequestError, match=r"--allow-inconclusive applies only to a gate"):
        assert GateOptions(allow_inconclusive=True).asks_for_gate
