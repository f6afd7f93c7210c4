"""A gate's request, from its options and from the settings of a checkout."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from bench.gate.judge import Settings
from bench.names import RequestError
from bench.suite import gate_options, options
from tests.bench.suite.test_gating import git

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
    parser = pytest.Parser(_ispytest=True)
    options.add(parser)
    gate_options.add(parser)
    parsed = parser.parse(["--base=HEAD", "--device=cpu", *arguments])

    def getoption(name: str) -> Any:
        return getattr(parsed, name.removeprefix("--").replace("-", "_"))

    invocation_params = SimpleNamespace(dir=checkout, args=arguments)
    config = SimpleNamespace(getoption=getoption, invocation_params=invocation_params)
    return gate_options.make_request(cast("pytest.Config", config)).settings


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
