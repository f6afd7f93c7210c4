"""What a gate is asked, by its options and by the settings of a checkout."""

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


def ask(checkout: Path, *given: str, cells: str = "googlenet/*", delta: float = 0.05) -> Settings:
    """The settings that these options make of a gate there."""
    (checkout / "pyproject.toml").write_text(SETTINGS.format(cells=cells, delta=delta))
    parser = pytest.Parser(_ispytest=True)
    options.add(parser)
    gate_options.add(parser)
    parsed = parser.parse(["--base=HEAD", "--device=cpu", *given])

    def getoption(name: str) -> Any:
        return getattr(parsed, name.removeprefix("--").replace("-", "_"))

    there = SimpleNamespace(dir=checkout, args=given)
    config = SimpleNamespace(getoption=getoption, invocation_params=there)
    return gate_options.ask(cast("pytest.Config", config)).settings


@pytest.mark.parametrize(("given", "expected"), [("0.15", 0.15), ("0.02", 0.10)])
def test_the_larger_of_delta_and_a_committed_exception_holds(
    checkout: Path, given: str, expected: float
) -> None:
    found = ask(checkout, f"--delta={given}")
    assert found.delta == float(given)
    assert found.deltas == {CELL: expected}


def test_an_exception_below_the_committed_delta_is_an_error(checkout: Path) -> None:
    with pytest.raises(RequestError, match=r"is a share from 0\.2 to 1, not 0\.1"):
        ask(checkout, "--delta=0.05", delta=0.2)


def test_an_exception_for_cells_that_others_were_chosen_instead_of_stays_right(
    checkout: Path,
) -> None:
    assert ask(checkout, "--archs=torchvision").deltas == {}
    assert ask(checkout, "--archs=torchvision", cells="googlenet/*/cuda").deltas == {}
    with pytest.raises(RequestError, match="nor those of the settings"):
        ask(checkout, "--archs=torchvision", cells="googlenet/compile/*")
